"""A probabilistic grammar of small stories. Each keeps its people, its place and its tense from beginning to end.

A template holds words and slots in braces. `{v lemma}` is a verb in the story's tense, in agreement with the subject that
the last slot named (`{v lemma+pl}`: in the plural, whatever it was); `{name}` is one of the rules below or a method.
"""

import re

from . import english
from .topics import ADVERBS, CHARACTER, COLOURS, DAYS, FEELINGS, KIN, PEOPLE, PRONOUNS, TOPICS, WEATHER, WORRIES

NUMBERS = ["two", "three", "four", "five", "six", "seven", "ten", "twelve"]

# A rule is a list of (weight, template).
RULES = {
    "opening": [
        (4, "{when} {hero} {v be} {place}"),
        (3, "{hero}, {art trait} {role}, {v work} {place} {every}"),
        (3, "{hero} {v be} {art trait} {role} who {v know} everybody {place}"),
        (2, "{when} {hero} and {his} {kin} {friend} {v go+pl} to work {place}"),
        (2, "{when} {weather}, but {hero} {v be} already {place}"),
    ],
    "setting": [(3, "{scene}"), (2, "{scene}, and {weather}"), (2, "{weather}"), (1, "outside {weather}, while {scene}")],
    "action": [
        (4, "{He} {adv} {act}"),
        (3, "{He} {act} and {act}"),
        (3, "first {he} {act}, then {he} {act}"),
        (2, "before {meal} {he} {act}"),
        (2, "when {he} {had} {done}, {he} {act}"),
        (2, "{He} {act}, because {others} {v want+pl} {wish}"),
        (2, "{num} {others} {v come+pl} in, and {hero} {act} for them"),
        (1, "{others} {v watch+pl} {him} while {he} {act}"),
    ],
    "visit": [
        (3, "{soon} {his} {kin} {friend} {v come} and {act}"),
        (3, "{friend}, {his} {kin}, {v help} {him} and {act}"),
        (2, "{friend} {v bring} {him} {something} and {v sit} down beside {him}"),
        (1, "{friend} {v have} no time to help, since {fhe} {v have} to find {fhis} {colour} {clothing}"),
    ],
    "talk": [
        (3, '"{cap exchange}," {v say} {hero}'),
        (2, '"{cap remark}," {v say} {friend}, and {hero} {v laugh}'),
        (2, "{hero} {v tell} {friend} that {he} {had} never seen such {art adj} {thing}"),
        (1, '"{cap remark}," {v whisper} {hero} to {friend}'),
    ],
    "exchange": [
        (2, 'do you need the {adj} {thing}?" {v ask} {friend}. "{cap yes_no}'), (2, 'where is the {thing}?" {v ask} {friend}. "{cap where}'),
        (1, 'shall I help you?" {v ask} {friend}. "{cap yes_no}'), (1, 'who took my {thing}?" {v ask} {friend}. "{cap who}'),
        (1, 'how many {things} are there?" {v ask} {friend}. "{cap how_many}'), (1, 'are you {feeling}?" {v ask} {friend}. "{cap yes_no}'),
    ],
    "yes_no": [(2, "yes, please"), (2, "no, thank you"), (1, "yes, of course"), (1, "not today"), (1, "perhaps later")],
    "where": [(2, "it is under the {furniture}"), (1, "I left it on the {furniture}"), (1, "ask the {role}"), (1, "I do not know")],
    "who": [(2, "nobody"), (1, "the {role} has it"), (1, "I do not know"), (1, "it was me, I am sorry")],
    "how_many": [(3, "there are {num}"), (1, "more than I can count"), (1, "only {num} are left")],
    "remark": [
        (2, "what {art adj} {thing}"), (2, "this is the best {thing} of the year"), (1, "we have enough {things} for {num} days"),
        (1, "nobody does it better than you"), (1, "I have never liked {day}s"),
    ],
    "trouble": [(3, "but then {bad}"), (2, "suddenly {bad}"), (2, "{hero} {v be} {worry}, for {bad}"), (1, "{bad}, and {he} {v sigh}")],
    "fix": [
        (3, "so {he} {good}"), (2, "{He} {v think} for a moment and {good}"), (2, "{friend} {v know} what to do: {fhe} {good}"),
        (1, "together {he} and {friend} {v solve+pl} it quickly"),
    ],
    "ending": [
        (3, "{end}"), (3, "in the end {hero} {v be} {feeling}, and {end}"), (2, "{He} {v go} home {feeling} and {v sleep} well"),
        (2, "{hero} {v thank} {friend} and {v give} {fhim} {gift}"), (1, "{end}, and {friend} {v be} {feeling} too"),
    ],
    "wish": [(2, "it so"), (2, "something {adj}"), (1, "to see how it is done"), (1, "to learn from {him}")],
    "something": [
        (2, "a cup of {drink}"), (2, "{his} {colour} {clothing}"), (2, "a letter from {his} {kin}"), (1, "{art colour} {clothing}"),
        (1, "a basket of {fruit}"), (1, "{num} {fruit}"), (1, "a small {colour} box"), (1, "the key of the {furniture}"),
    ],
    "gift": [
        (2, "a basket of {fruit}"), (2, "{num} {fruit}"), (2, "{art colour} {clothing}"), (1, "a bunch of flowers"), (1, "a silver coin"),
        (1, "a book about birds"), (1, "a jar of honey"),
    ],
    "fruit": [(2, "apples"), (2, "pears"), (1, "cherries"), (1, "nuts"), (1, "plums"), (1, "lemons")],
    "meal": [(1, "breakfast"), (1, "lunch"), (1, "supper")],
    "drink": [(3, "tea"), (2, "coffee"), (1, "milk"), (1, "warm cider")],
    "clothing": [(2, "coat"), (2, "scarf"), (1, "hat"), (1, "umbrella"), (1, "apron"), (1, "mittens")],
    "furniture": [(2, "table"), (2, "bench"), (1, "cupboard"), (1, "stove"), (1, "stairs"), (1, "old chest")],
    "soon": [(2, "soon"), (2, "later"), (1, "after an hour"), (1, "towards noon"), (1, "a little later")],
    "every": [(3, "every day"), (2, "every {day}"), (1, "from morning to night"), (1, "all year round")],
    "when_past": [
        (3, "one {season} morning"), (2, "yesterday"), (2, "last {day}"), (2, "early in the morning"), (1, "long ago"), (1, "that evening"),
        (1, "on the first day of {season}"),
    ],
    "when_present": [(3, "today"), (2, "this morning"), (2, "it is {day}, and"), (1, "early in the morning"), (1, "as on every {day},")],
    "season": [(1, "spring"), (1, "summer"), (1, "autumn"), (1, "winter")],
}


class Story:
    """One story: who, where, when, and the rules that turn this into sentences."""

    def __init__(self, chance, topic):
        self.chance, self.topic = chance, topic
        self.tense = "past" if chance.percent(75) else "present"
        (self.name, self.pronoun), (self.friend_name, self.friend_pronoun) = chance.sample(PEOPLE, 2)
        self.kinship = chance.evenly(KIN[self.friend_pronoun])
        self.job = chance.pick(topic.roles)
        self.event = chance.below(3)  # which trouble, and so which fix
        self.plural = False
        self.last_thing = None
        self.acts = []  # those not told yet

    def rule(self, name):
        total = sum(weight for weight, _ in RULES[name])
        at = self.chance.below(total)
        for weight, template in RULES[name]:
            if at < weight:
                return self.fill(template)
            at -= weight
        raise AssertionError("weights add up")

    def fill(self, template):
        return re.sub(r"\{([^}]+)\}", lambda slot: self.slot(slot[1]), template)

    def slot(self, text):
        head, _, rest = text.partition(" ")
        if head == "v":
            lemma, _, number = rest.partition("+")
            return english.finite(lemma, self.tense, number == "pl" or self.plural)
        if head == "art":
            words = self.slot(rest)
            return english.article(words) + " " + words
        if head == "cap":
            words = self.slot(rest)
            return words[0].upper() + words[1:]
        method = getattr(self, "on_" + head, None)
        return method() if method else self.rule(head)

    # People; those in the singular set the agreement of the verbs that follow.
    def subject(self, words, plural=False):
        self.plural = plural
        return words

    def on_hero(self):
        return self.subject(self.name)

    def on_friend(self):
        return self.subject(self.friend_name)

    def on_he(self):
        return self.subject(PRONOUNS[self.pronoun][0])

    def on_He(self):
        return self.subject(self.name if self.chance.percent(30) else PRONOUNS[self.pronoun][0])

    def on_him(self):
        return PRONOUNS[self.pronoun][1]

    def on_his(self):
        return PRONOUNS[self.pronoun][2]

    def on_fhe(self):
        return self.subject(PRONOUNS[self.friend_pronoun][0])

    def on_fhim(self):
        return PRONOUNS[self.friend_pronoun][1]

    def on_fhis(self):
        return PRONOUNS[self.friend_pronoun][2]

    def on_kin(self):
        return self.kinship

    def on_role(self):
        return self.job

    def on_others(self):
        return english.plural(self.topic.group)

    # Words.
    def on_trait(self):
        return self.chance.pick(CHARACTER)

    def on_feeling(self):
        return self.chance.evenly(FEELINGS)

    def on_worry(self):
        return self.chance.evenly(WORRIES)

    def on_adv(self):
        return self.chance.evenly(ADVERBS)

    def on_colour(self):
        return self.chance.pick(COLOURS)

    def on_day(self):
        return self.chance.evenly(DAYS)

    def on_num(self):
        return self.chance.pick(NUMBERS)

    def on_adj(self):
        return self.chance.pick(self.topic.looks)

    def on_thing(self):
        return self.last_thing if self.last_thing and self.chance.percent(50) else self.chance.pick(self.chance.pick(self.topic.acts)[1])

    def on_things(self):
        return english.plural(self.on_thing())

    def on_when(self):
        return self.rule("when_" + self.tense)

    def on_place(self):
        return self.topic.place

    # Clauses.
    def clause(self, template):
        before, self.plural = self.plural, False
        filled = self.fill(template)
        self.plural = before
        return filled

    def on_weather(self):
        return self.clause(self.chance.evenly(WEATHER))

    def on_scene(self):
        return self.clause(self.chance.evenly(self.topic.scenes))

    def on_bad(self):
        return self.clause(self.topic.troubles[self.event])

    def on_good(self):
        return self.clause(self.topic.fixes[self.event])

    def on_end(self):
        return self.clause(self.chance.evenly(self.topic.ends))

    def object(self):
        thing = self.last_thing
        kind = self.chance.below(10)
        adjective = self.on_adj() + " " if self.chance.percent(45) else ""
        if kind < 3:
            return "the " + adjective + thing
        if kind < 6:
            return english.article(adjective + thing) + " " + adjective + thing
        if kind < 8:
            return "the " + adjective + english.plural(thing)
        return self.on_num() + " " + adjective + english.plural(thing)

    def act(self):
        """A verb that the story has not used, as long as there is one; names the thing it is done to."""
        self.acts = self.acts or self.chance.sample(self.topic.acts, len(self.topic.acts))
        verb, things = self.acts.pop()
        self.last_thing = self.chance.pick(things)
        return verb

    def on_act(self):
        verb = self.act()
        return english.finite(verb, self.tense, False) + " " + self.object()

    def on_had(self):
        return "had" if self.tense == "past" else "has"

    def on_done(self):
        verb = self.act()
        return english.participle(verb) + " " + self.object()

    def tell(self):
        """The whole story: 4 to 9 sentences."""
        plan = ["opening"]
        plan += ["setting"] if self.chance.percent(60) else []
        plan += ["action"] * (1 + self.chance.below(2))
        plan += ["visit"] if self.chance.percent(55) else []
        plan += ["talk"] if self.chance.percent(50) else []
        plan += ["action"] if self.chance.percent(35) else []
        plan += ["trouble", "fix"] if self.chance.percent(60) else []
        plan += ["ending"]
        return " ".join(english.sentence(self.rule(part) + ".") for part in plan)


def corpus_file(chance, file, size):
    """Stories of the topics of one file, a story a line, blank lines between, until there are `size` characters."""
    topics = [topic for topic in TOPICS if topic.file == file]
    stories, length = [], 0
    while length < size:
        stories.append(Story(chance, chance.evenly(topics)).tell())
        length += len(stories[-1]) + 2
    return "\n\n".join(stories) + "\n"
