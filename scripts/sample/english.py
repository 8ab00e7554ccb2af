"""English inflection for the words of the sample data: regular rules and a table of what is irregular."""

# lemma: (past, participle)
IRREGULAR = {
    "be": ("was", "been"), "become": ("became", "become"), "beat": ("beat", "beaten"), "bend": ("bent", "bent"), "begin": ("began", "begun"), "blow": ("blew", "blown"),
    "break": ("broke", "broken"), "bring": ("brought", "brought"), "build": ("built", "built"), "buy": ("bought", "bought"),
    "carry": ("carried", "carried"), "catch": ("caught", "caught"), "choose": ("chose", "chosen"), "come": ("came", "come"),
    "cut": ("cut", "cut"), "do": ("did", "done"), "draw": ("drew", "drawn"), "drink": ("drank", "drunk"),
    "dig": ("dug", "dug"), "drive": ("drove", "driven"), "eat": ("ate", "eaten"), "fall": ("fell", "fallen"), "feed": ("fed", "fed"),
    "feel": ("felt", "felt"), "find": ("found", "found"), "fly": ("flew", "flown"), "forget": ("forgot", "forgotten"),
    "get": ("got", "got"), "give": ("gave", "given"), "go": ("went", "gone"), "grow": ("grew", "grown"),
    "hang": ("hung", "hung"), "have": ("had", "had"), "hear": ("heard", "heard"), "hide": ("hid", "hidden"),
    "hold": ("held", "held"), "keep": ("kept", "kept"), "know": ("knew", "known"), "leave": ("left", "left"),
    "lend": ("lent", "lent"), "light": ("lit", "lit"), "lie": ("lay", "lain"), "lose": ("lost", "lost"), "make": ("made", "made"),
    "meet": ("met", "met"), "pay": ("paid", "paid"), "put": ("put", "put"), "read": ("read", "read"),
    "ride": ("rode", "ridden"), "ring": ("rang", "rung"), "rise": ("rose", "risen"), "run": ("ran", "run"),
    "say": ("said", "said"), "see": ("saw", "seen"), "sell": ("sold", "sold"), "send": ("sent", "sent"),
    "shake": ("shook", "shaken"), "shine": ("shone", "shone"), "sink": ("sank", "sunk"), "sing": ("sang", "sung"), "sit": ("sat", "sat"),
    "sleep": ("slept", "slept"), "speak": ("spoke", "spoken"), "spend": ("spent", "spent"), "stand": ("stood", "stood"), "strike": ("struck", "struck"), "tear": ("tore", "torn"),
    "sweep": ("swept", "swept"), "swim": ("swam", "swum"), "take": ("took", "taken"), "teach": ("taught", "taught"),
    "tell": ("told", "told"), "think": ("thought", "thought"), "throw": ("threw", "thrown"), "wake": ("woke", "woken"),
    "wear": ("wore", "worn"), "write": ("wrote", "written"),
}
PLURALS = {
    "man": "men", "woman": "women", "child": "children", "loaf": "loaves", "shelf": "shelves", "knife": "knives",
    "leaf": "leaves", "sheep": "sheep", "goose": "geese", "fish": "fish", "calf": "calves", "mouse": "mice",
    "fisherman": "fishermen", "potato": "potatoes", "tomato": "tomatoes", "piano": "pianos",
}
VOWELS = "aeiou"
# Verbs of more than one syllable with the stress on the last, which double their consonant as short ones do.
DOUBLING = {"admit", "begin", "forget"}


def doubles(verb):
    short = sum(letter in VOWELS for letter in verb) == 1 or verb in DOUBLING
    return short and len(verb) > 2 and verb[-1] not in VOWELS + "wxy" and verb[-2] in VOWELS and verb[-3] not in VOWELS


def plural(noun):
    if " of " in noun:
        counted, _, stuff = noun.partition(" of ")
        return f"{plural(counted)} of {stuff}"
    head, _, last = noun.rpartition(" ")
    if last in PLURALS:
        last = PLURALS[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2] not in VOWELS:
        last = last[:-1] + "ies"
    else:
        last += "s"
    return (head + " " + last).strip()


def third(verb):
    if verb in ("be", "have"):
        return {"be": "is", "have": "has"}[verb]
    if verb in ("do", "go") or verb.endswith(("s", "x", "z", "ch", "sh")):
        return verb + "es"
    if verb.endswith("y") and verb[-2] not in VOWELS:
        return verb[:-1] + "ies"
    return verb + "s"


def past(verb, is_plural=False):
    if verb == "be":
        return "were" if is_plural else "was"
    if verb in IRREGULAR:
        return IRREGULAR[verb][0]
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in VOWELS:
        return verb[:-1] + "ied"
    return verb + (verb[-1] if doubles(verb) else "") + "ed"


def participle(verb):
    return IRREGULAR[verb][1] if verb in IRREGULAR else past(verb)


def gerund(verb):
    if verb == "lie":
        return "lying"
    if verb.endswith("e") and verb not in ("be", "see"):
        return verb[:-1] + "ing"
    return verb + (verb[-1] if doubles(verb) else "") + "ing"


def finite(verb, tense, is_plural):
    """The form of a main verb: finite("go", "past", False) is "went"."""
    if tense == "past":
        return past(verb, is_plural)
    if is_plural:
        return "are" if verb == "be" else verb
    return third(verb)


def article(words):
    """"a" or "an" for what follows; the words here have no silent h and no "yoo" sound at the start but these."""
    return "a" if words.startswith(("us", "uni")) or words[0] not in VOWELS else "an"


def sentence(words):
    """With a capital letter first."""
    text = " ".join(words.split())
    start = 1 if text.startswith('"') else 0
    return text[:start] + text[start].upper() + text[start + 1:]
