"""What the stories are about: a dozen places, with the people, the things and the small events that belong to each.

`acts` are "verb: things" with the things that this verb goes with; `scenes`, `troubles`, `fixes` and `ends` are templates
of the grammar in stories.py. Nouns are in the singular; a verb is a lemma.
"""


def words(text):
    return [part.strip() for part in text.split(",")]


class Topic:
    """One place and all that belongs to it."""

    def __init__(self, file, place, roles, group, looks, acts, scenes, troubles, fixes, ends):
        self.file, self.place, self.group = file, place, group
        self.roles, self.looks = words(roles), words(looks)
        self.acts = [(verb.strip(), words(things)) for verb, things in (line.split(":") for line in acts.split(";"))]
        self.scenes, self.troubles, self.fixes, self.ends = scenes, troubles, fixes, ends


TOPICS = [
    Topic(
        "town", "in the bakery", "baker, apprentice", "customer", "warm, fresh, sweet, golden, round",
        "bake: loaf, cake, bun, pie; sell: bun, loaf, biscuit, cake; cut: cake, loaf, pie; carry: tray, basket, sack of flour; wrap: loaf, pie, biscuit",
        ["the smell of bread {v fill} the street", "a tray of {adj} buns {v stand} by the window", "flour {v cover} the long table"],
        ["the oven {v go} out", "there {v be} no flour left", "the {adj} loaves {v be+pl} too dark"],
        ["{v light} the oven again", "{v borrow} a sack of flour from the mill", "{v mix} a new bowl of dough"],
        ["by noon every shelf {v be} empty", "nobody {v go} home without bread"],
    ),
    Topic(
        "town", "at the school", "teacher, pupil", "child", "new, long, difficult, short, beautiful",
        "read: book, poem, letter; write: letter, story, poem; teach: song, lesson, poem; draw: map, picture, horse; open: book, map, window",
        ["{art adj} map {v hang} on the wall", "the bell {v ring} twice", "chalk dust {v dance} in the sunlight"],
        ["the box of chalk {v be} empty", "half of the class {v be} ill", "someone {v spill} ink on the map"],
        ["{v write} the answers with charcoal", "{v read} a story to those who {v be+pl} there", "{v draw} the map once more"],
        ["the lesson {v end} with a song", "the children {v run+pl} out into the yard"],
    ),
    Topic(
        "town", "at the railway station", "driver, guard", "traveller", "heavy, dusty, red, old, strange",
        "carry: suitcase, parcel, trunk; sell: ticket, newspaper, sandwich; stamp: ticket, parcel; repair: engine, signal, clock; check: ticket, signal, clock",
        ["the {adj} train {v wait} at the platform", "steam {v rise} above the roof", "the big clock {v show} ten past four"],
        ["the signal {v be} broken", "the train to the coast {v be} an hour late", "a suitcase {v be} missing"],
        ["{v wave} a lantern by hand", "{v bring} tea to everybody", "{v find} it under a bench"],
        ["at last the train {v leave} with a long whistle", "the platform {v be} quiet again"],
    ),
    Topic(
        "town", "in the library", "librarian, student", "reader", "old, thick, rare, large, green",
        "lend: book, atlas, novel; borrow: novel, book, dictionary; find: book, letter, page; mend: page, atlas, cover; read: novel, newspaper, dictionary",
        ["{art adj} lamp {v stand} on each desk", "the pages {v smell+pl} of dust and leather", "rain {v tap} on the tall windows"],
        ["the catalogue {v be} gone", "a page {v be} missing from the atlas", "the lamps {v go+pl} out"],
        ["{v copy} the page by hand", "{v search} every shelf until evening", "{v light} a row of candles"],
        ["the last reader {v close} the book with a smile", "every book {v be} in its place"],
    ),
    Topic(
        "coast", "at the harbour", "sailor, netmaker", "sailor", "wet, silver, strong, wooden, salty",
        "catch: fish, crab, eel; mend: net, sail, boat; paint: boat, mast, oar; sell: fish, crab, lobster; load: boat, barrel, crate; tie: rope, boat, knot",
        ["gulls {v cry+pl} above the {adj} boats", "the tide {v come} in slowly", "nets {v dry+pl} on the wall"],
        ["a rope {v break}", "the wind {v tear} the sail", "there {v be} a hole in the boat"],
        ["{v tie} a better knot", "{v sew} the sail with strong thread", "{v close} the hole with tar"],
        ["every boat {v be} home before dark", "there {v be} fish for supper"],
    ),
    Topic(
        "coast", "in the lighthouse", "keeper, painter", "visitor", "bright, round, steep, white, lonely",
        "clean: lamp, lens, window; climb: ladder, tower, stair; watch: ship, wave, storm; paint: door, tower, wall; polish: lens, bell, lamp",
        ["waves {v beat+pl} against the {adj} rocks", "the lamp {v turn} without a sound", "fog {v hide} the horizon"],
        ["the lamp {v go} dark", "a ship {v come} too near the rocks", "the door {v be} stuck"],
        ["{v ring} the bell until the ship {v turn}", "{v climb} up with a can of oil", "{v push} as hard as possible"],
        ["far out a ship {v answer} with its horn", "the light {v shine} all night"],
    ),
    Topic(
        "coast", "on the beach", "swimmer, photographer", "child", "smooth, hot, yellow, tiny, broken",
        "collect: shell, stone, feather; build: castle, wall, raft; throw: ball, stone, stick; find: shell, bottle, crab; fly: kite",
        ["the sand {v be} {adj} and clean", "a dog {v run} after the waves", "children {v laugh+pl} in the shallow water"],
        ["the wind {v take} the kite", "a wave {v destroy} the castle", "the ball {v float} away"],
        ["{v swim} after it", "{v build} a higher wall", "{v run} along the water's edge"],
        ["the sun {v sink} into the sea", "everybody {v be} tired and happy"],
    ),
    Topic(
        "village", "on the farm", "farmer, shepherd", "neighbour", "fat, muddy, young, brown, hungry",
        "feed: hen, cow, pig, goose; milk: cow, goat; plant: potato, cabbage, bean; pull: carrot, cart, plough; count: sheep, egg, goose; chase: goose, pig, calf",
        ["{art adj} pig {v sleep} in the straw", "the rooster {v sit} on the gate", "hay {v lie} in high heaps"],
        ["a sheep {v be} lost", "the fence {v be} broken", "a fox {v come} near the hens"],
        ["{v search} the hills with the dog", "{v mend} the fence with wire", "{v shout} until the fox {v run} off"],
        ["the animals {v be+pl} safe in the barn", "there {v be} fresh milk for all"],
    ),
    Topic(
        "village", "in the garden", "gardener, beekeeper", "neighbour", "ripe, green, tall, purple, wild",
        "plant: rose, tulip, tree, bean; water: rose, tomato, tulip; pick: apple, pear, tomato, plum; cut: rose, branch, hedge; dig: hole, bed, pond",
        ["bees {v hum+pl} around the {adj} flowers", "a blackbird {v sing} in the hedge", "the grass {v be} wet with dew"],
        ["snails {v eat+pl} the leaves", "the well {v be} dry", "frost {v kill} the tulips"],
        ["{v carry} water from the river", "{v cover} the beds with straw", "{v collect} the snails in a bucket"],
        ["the first rose {v open} the next day", "there {v be} a bowl of plums on the table"],
    ),
    Topic(
        "village", "at the market", "trader, cook", "customer", "cheap, fine, striped, big, foreign",
        "sell: melon, carpet, cheese, basket; buy: cheese, melon, hat, ribbon; weigh: cheese, melon, onion; choose: hat, onion, carpet, ribbon; taste: cheese, olive, pear",
        ["the {adj} stalls {v stand+pl} close together", "a fiddler {v play} beside the fountain", "voices {v fill+pl} the square"],
        ["a purse {v be} gone", "a gust {v carry} off the striped roof", "the scales {v be+pl} wrong"],
        ["{v find} it among the onions", "{v hold} the poles with both hands", "{v give} everyone an extra pear"],
        ["by evening the square {v be} swept clean", "the baskets {v be+pl} full"],
    ),
    Topic(
        "country", "in the forest", "hunter, woodcutter", "hiker", "dark, crooked, soft, mossy, ancient",
        "follow: path, stream, deer; gather: mushroom, berry, nut; chop: tree, log, branch; hear: owl, wolf, woodpecker; cross: stream, bridge, clearing",
        ["an owl {v call} from an ancient oak", "moss {v cover} the {adj} stones", "light {v fall} through the leaves"],
        ["the path {v disappear}", "a tree {v lie} across the road", "night {v come} too early"],
        ["{v follow} the stream downhill", "{v saw} the trunk in two", "{v make} a small fire"],
        ["the lights of the village {v appear+pl} between the trees", "the forest {v be} silent again"],
    ),
    Topic(
        "country", "in the mountains", "guide, climber", "hiker", "deep, icy, narrow, grey, distant",
        "climb: peak, wall, ridge; cross: glacier, valley, pass; carry: rope, tent, rucksack; reach: hut, peak, pass; see: eagle, glacier, marmot",
        ["snow {v lie} on the {adj} peaks", "an eagle {v circle} over the valley", "clouds {v hang+pl} low on the ridge"],
        ["a storm {v block} the pass", "the rope {v be} too short", "stones {v fall+pl} from the wall"],
        ["{v wait} in the hut until morning", "{v tie} two ropes together", "{v choose} a safer way"],
        ["at the top the view {v be} worth it all", "hot soup {v wait} in the hut"],
    ),
    Topic(
        "country", "in the workshop", "carpenter, clockmaker", "customer", "heavy, small, rusty, wooden, delicate",
        "make: chair, table, clock, box; repair: clock, wheel, chair, lock; oil: lock, hinge, wheel; sharpen: knife, saw, chisel; measure: board, table, door",
        ["wood shavings {v cover+pl} the floor", "{art adj} saw {v hang} above the bench", "twenty clocks {v tick+pl} at once"],
        ["a spring {v jump} out of the clock", "the chair {v have} only three legs", "the glue {v be} dry"],
        ["{v look} for the spring with a magnet", "{v carve} a new leg", "{v warm} the glue over a candle"],
        ["the clock {v strike} seven, just as it should", "the work {v be} done well"],
    ),
    Topic(
        "country", "on the river", "boatbuilder, miller", "passenger", "slow, clear, leaky, narrow, muddy",
        "row: boat, ferry; catch: trout, eel; push: raft, boat, log; fill: bucket, bottle, jug; repair: bridge, wheel, ferry",
        ["willows {v bend+pl} over the {adj} water", "the mill wheel {v turn} and {v turn}", "a heron {v stand} in the reeds"],
        ["the river {v rise} above the bridge", "an oar {v break}", "the ferry {v be} stuck in the mud"],
        ["{v steer} with a long pole", "{v pull} it free with two horses", "{v build} a wall of sandbags"],
        ["everyone {v reach} the other side with dry feet", "the water {v be} calm once more"],
    ),
]

PEOPLE = [
    ("Rosa", "she"), ("Tom", "he"), ("Anna", "she"), ("Peter", "he"), ("Mina", "she"), ("Karl", "he"), ("Lucy", "she"),
    ("Omar", "he"), ("Clara", "she"), ("Jonas", "he"), ("Ines", "she"), ("Felix", "he"), ("Hanna", "she"), ("Samir", "he"),
    ("Greta", "she"), ("Daniel", "he"), ("Nora", "she"), ("Victor", "he"), ("Edith", "she"), ("Hugo", "he"),
    ("Leila", "she"), ("Martin", "he"), ("Sofia", "she"), ("Walter", "he"), ("Amina", "she"), ("Bruno", "he"),
    ("Olga", "she"), ("Simon", "he"),
]
PRONOUNS = {"she": ("she", "her", "her"), "he": ("he", "him", "his")}
KIN = {
    "she": words("sister, aunt, cousin, friend, grandmother, neighbour, daughter, mother, niece"),
    "he": words("brother, uncle, cousin, friend, grandfather, neighbour, son, father, nephew"),
}
CHARACTER = words("patient, careful, cheerful, curious, stubborn, shy, clever, kind, generous, nervous, proud, calm")
FEELINGS = words("happy, tired, glad, proud, surprised, pleased, thoughtful, grateful, relieved, content")
WORRIES = words("worried, angry, sad, upset, nervous, afraid, annoyed")
ADVERBS = words("slowly, carefully, quickly, quietly, gladly, proudly, softly, patiently, eagerly, calmly")
COLOURS = words("red, blue, green, white, black, yellow, brown, grey")
DAYS = words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
WEATHER = [
    "the sky {v be} clear and blue", "it {v rain} without a pause", "a cold wind {v blow} from the north", "snow {v fall} in thick flakes",
    "the sun {v shine} warmly", "a thin mist {v cover} the land", "dark clouds {v gather+pl} in the west", "the air {v be} soft and still",
]
