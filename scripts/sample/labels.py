"""Labelled data for the tasks that a language model is fine-tuned for: reviews, messages, translations, questions.

Each asks for a bit more than spotting a word: negation and contrast in the reviews, harmless messages about prizes among the
spam, another word order in the translations, several people who do similar things in the paragraphs that are asked about.
"""

import csv
import io
import json
import re

from . import english
from .chance import Chance
from .topics import COLOURS, DAYS, PEOPLE, TOPICS

SUBJECTS = [
    ("inn", ["room", "bed", "breakfast", "view", "landlady"]), ("café", ["coffee", "cake", "waiter", "terrace", "soup"]),
    ("novel", ["plot", "ending", "hero", "style", "first chapter"]), ("film", ["story", "music", "cast", "ending", "camera work"]),
    ("tent", ["fabric", "zip", "frame", "colour", "bag it comes in"]), ("concert", ["singer", "sound", "hall", "programme", "violinist"]),
]
GOOD = ["wonderful", "excellent", "charming", "very good", "a delight", "better than I had hoped", "lovely", "splendid", "worth every penny"]
BAD = ["terrible", "dull", "disappointing", "very poor", "a nuisance", "worse than I had feared", "awful", "dreadful", "a waste of money"]
LIKED = ["I would come back tomorrow", "I enjoyed every minute", "I can only recommend it", "we were sorry when it was over", "my family loved it"]
DISLIKED = ["I want my money back", "we left early", "I cannot recommend it", "never again", "I was glad when it was over"]
LABELS = ["negative", "positive"]


def json_lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def opinion(chance, part, positive):
    """A clause about one part; now and then by denying the contrary."""
    if chance.percent(30):
        return f"the {part} was {chance.evenly(['not', 'never', 'by no means'])} {chance.evenly(BAD if positive else GOOD)}"
    return f"the {part} was {chance.evenly(GOOD if positive else BAD)}"


def review(chance):
    """A review and its label: what it says last, or after "but", is what counts."""
    thing, parts = chance.evenly(SUBJECTS)
    positive = chance.below(2) == 1
    one, two, three = chance.sample(parts, 3)
    day, (name, _) = chance.evenly(DAYS), chance.evenly(PEOPLE)
    opening = chance.evenly([f"{name} told me about this {thing}", f"last {day} we tried this {thing}", f"this {thing} was a present from {name}"])
    shape = chance.below(4)
    if shape == 0:
        body = [f"{opening}, and {opinion(chance, one, positive)}"]
    elif shape == 1:
        body = [opening, f"{opinion(chance, one, not positive)}, but {opinion(chance, two, positive)} and {opinion(chance, three, positive)}"]
    elif shape == 2:
        body = [f"although {opinion(chance, one, not positive)}, {opinion(chance, two, positive)}"]
    else:
        body = [opening, f"I had heard that {opinion(chance, one, not positive)}", f"that is not true: {opinion(chance, one, positive)}"]
    if chance.percent(50):
        body.append(chance.evenly(LIKED if positive else DISLIKED))
    return {"text": " ".join(english.sentence(part + ".") for part in body), "label": LABELS[positive]}


SPAM = [
    "{shout} {name}, you have won {sum} in our {lottery}! {act} to claim your {prize}",
    "dear customer, your {account} will be closed on {day}. {act} and enter your password",
    "{shout} {goods} for only {price}, today only! {act}",
    "make {sum} a week from home, no work needed. {act} now",
    "hello {name}, it is me. I lost my purse in {town} and need {sum}. {act}, please",
    "a doctor in {town} does not want you to know this trick. {act} and lose ten kilos by {day}",
    "final notice: your parcel with {goods} waits. pay {price} before {day}. {act}",
    "hi {name}, the {goods} that you asked for are here. {act}",
    "are you free on {day}, {name}? earn {sum} beside your work in {town}. {act}",
    "thank you for your order of {goods}. {price} was taken from your {account}. was it not you? {act}",
]
HAM = [
    "hi {name}, shall we meet at the {place} on {day}?",
    "the {goods} you asked for cost {price}. shall I buy them?",
    "{name} won the {prize} in the school {lottery}, can you believe it?",
    "please call me when you are free, {name}. it is about {day}",
    "your parcel came today, I put it beside the door",
    "I transferred {sum} for the rent on {day}. did it arrive?",
    "do not forget your password for the {place} this time",
    "are you free on {day}? {name} will bring {goods} and a cake",
    "the train from {town} is late again. go to the {place} without me",
    "thank you for the {goods}, {name}! the children love them",
    "the {place} opens again on {day}. {act} if you want to help",
    "{shout} the {goods} are here, {name}. {act} when you come to the {place}",
    "my {account} is closed until {day}, can you pay the {price} for me? {act}, it is quicker",
    "your order of {goods} costs {price} at the {place} in {town}. {act} and ask for {name}",
]
WARNINGS = [
    'look what I got, {name}: "{spam}" do they think that we are fools?', 'beware, somebody writes "{spam}" that is a trick, {name}',
    '"{spam}" is that spam, {name}? I did not answer',
]
FILLERS = {
    "shout": ["congratulations,", "urgent!", "WOW!", "good news,", "attention!"], "lottery": ["lottery", "raffle", "prize draw"],
    "sum": ["£500", "2000 dollars", "£90", "900 euros", "£1,000"], "price": ["£3", "£9.99", "two pounds", "£25"],
    "act": ["click the link below", "reply YES", "call 0900 4411", "visit our page", "send your card number", "text WIN to 8080"],
    "prize": ["prize", "voucher", "first prize", "free holiday"], "account": ["account", "mailbox", "bank card"],
    "goods": ["shoes", "watches", "phones", "concert tickets", "garden chairs", "pills"],
    "town": ["Lisbon", "Oslo", "Prague", "Bristol", "Vienna"], "place": ["library", "bakery", "market", "station", "school"],
    "day": DAYS, "name": [name for name, _ in PEOPLE],
}
NOISE = ["", "", "", " ok?", " :)", " thanks!", " see you", " bye"]


def message(chance):
    """A message and whether it is spam; one in four is."""
    spam = chance.percent(25)
    filled = {key: chance.evenly(values) for key, values in FILLERS.items()}
    text = chance.evenly(SPAM if spam else HAM)
    if spam and chance.percent(25):  # begins like any message
        start = chance.evenly(HAM)
        text = start + (" " if start[-1] in "?!" else ". ") + text
    elif not spam and chance.percent(10):  # warns of spam
        text = chance.evenly(WARNINGS).replace("{spam}", chance.evenly(SPAM))
    text = text.format(**filled)
    text = re.sub(r"(^|[.?!] )([a-z])", lambda start: start[1] + start[2].upper(), text)
    if not spam or chance.percent(30):
        text += chance.evenly(NOISE)
    if chance.percent(8):
        text = text.upper()
    return ["spam" if spam else "ham", text]


def different(draw, count, seen):
    """`count` rows that are not in `seen`, so that nothing is in train and test."""
    rows = []
    while len(rows) < count:
        row = draw()
        if str(row) not in seen:
            seen.add(str(row))
            rows.append(row)
    return rows


def csv_table(header, rows):
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return table.getvalue()


ONSETS, NUCLEI = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z"], ["a", "e", "i", "o", "u", "ai"]


class Dictionary:
    """Stems of an invented language, each given once and never twice the same."""

    def __init__(self):
        self.stems = {}

    def stem(self, kind, word):
        key, attempt = f"{kind} {word}", 0
        while key not in self.stems:
            chance = Chance(f"{key} {attempt}")
            syllables = 1 + (chance.below(3) > 0) + (attempt > 3)
            candidate = "".join(chance.evenly(ONSETS) + chance.evenly(NUCLEI) for _ in range(syllables)) + chance.evenly(["", "n", "l", "r"])
            if candidate not in self.stems.values() and len(candidate) > 2:
                self.stems[key] = candidate
            attempt += 1
        return self.stems[key]


class Translator:
    """Sentence pairs of English and a language with verbs at the end, adjectives behind nouns, and an ending for everything.

    Plural -or, object -em, place -ul; past -at, present -is, future -on; negation ne before the verb; question mi at the start.
    """

    def __init__(self, chance):
        self.chance, self.dictionary = chance, Dictionary()

    def noun_phrase(self, nouns, looks, case):
        noun, many = self.chance.pick(nouns), self.chance.percent(35)
        look = self.chance.pick(looks) if self.chance.percent(50) else None
        head = english.plural(noun) if many else noun
        text = f"{look} {head}" if look else head
        determiner = self.chance.evenly(["the", "the", "my"] if many else ["the", "the", "my", english.article(text)])
        ending = ("or" if many else "") + case
        words = [self.dictionary.stem("noun", noun) + ending]
        words += [self.dictionary.stem("adjective", look) + ending] if look else []
        words += [self.dictionary.stem("pronoun", "my")] if determiner == "my" else []
        return f"{determiner} {text}", " ".join(words), many

    def pair(self):
        topic = self.chance.evenly(TOPICS)
        subject, subject_xx, many = self.noun_phrase(topic.roles + [topic.group], ["old", "young", "clever", "tired"], "")
        verb, things = self.chance.pick(topic.acts)
        target, target_xx, _ = self.noun_phrase([thing for thing in things if " " not in thing], topic.looks, "em")
        place_xx = self.dictionary.stem("noun", topic.place.split()[-1]) + "ul"
        place, place_xx = (topic.place, place_xx) if self.chance.percent(50) else ("", "")
        stem, tense, shape = self.dictionary.stem("verb", verb), self.chance.evenly(["past", "present", "future"]), self.chance.below(6)
        verb_xx = stem + {"past": "at", "present": "is", "future": "on"}[tense]
        helper = {"past": "did", "present": "do" if many else "does", "future": "will"}[tense]
        if shape == 0:
            english_text = f"{helper} {subject} {verb} {target} {place}".strip() + "?"
            foreign = f"mi {subject_xx} {place_xx} {target_xx} {verb_xx}?"
        elif shape == 1:
            english_text = f"{subject} {helper} not {verb} {target} {place}".strip() + "."
            foreign = f"{subject_xx} {place_xx} {target_xx} ne {verb_xx}."
        else:
            form = f"will {verb}" if tense == "future" else english.finite(verb, tense, many)
            english_text = f"{subject} {form} {target} {place}".strip() + "."
            foreign = f"{subject_xx} {place_xx} {target_xx} {verb_xx}."
        return english.sentence(english_text), english.sentence(foreign)

    def pairs(self, count):
        """Different pairs."""
        found = {}
        while len(found) < count:
            pair = self.pair()
            found[pair[0]] = pair[1]
        return list(found.items())


FINDS = ["key", "coin", "letter", "ring", "map", "lantern", "whistle", "photograph", "compass", "violin"]
MATERIALS = ["silver", "old", "tiny", "broken", "golden", "wooden", "strange"]
SPOTS = ["under the bench", "behind the stove", "inside a drawer", "on the roof", "beside the well", "between two stones", "in a blue box"]
HOURS = ["at noon", "before sunrise", "in the evening", "at midnight", "after breakfast"]
DEEDS = [("find", "found"), ("lose", "lost"), ("hide", "hid"), ("sell", "sold"), ("see", "saw")]


def paragraph(chance, number):
    """Three events of one pattern, told in different orders of words, and a question about each of two of them."""
    people, things = chance.sample(PEOPLE, 3), chance.sample(FINDS, 3)
    spots, days, hours = chance.sample(SPOTS, 3), chance.sample(DAYS, 3), chance.sample(HOURS, 3)
    sentences, events = [], []
    for (name, pronoun), noun, spot, day, hour in zip(people, things, spots, days, hours):
        thing = f"{chance.evenly(MATERIALS)} {chance.evenly(COLOURS)} {noun}" if chance.percent(30) else f"{chance.evenly(MATERIALS)} {noun}"
        base, past = chance.evenly(DEEDS)
        trade = english.article(role := chance.evenly(chance.evenly(TOPICS).roles)) + " " + role
        named = f"{english.article(thing)} {thing}"
        sentences.append(chance.evenly([
            f"On {day} {name}, {trade}, {past} {named} {spot}, and it was {hour}.",
            f"{name} is {trade}. {hour[0].upper() + hour[1:]} on {day} {pronoun} {past} {named} {spot}.",
            f"{spot[0].upper() + spot[1:]} {name}, who is {trade}, {past} {named} on {day} {hour}.",
        ]))
        place = sum(len(earlier) + 1 for earlier in sentences[:-1])
        events.append((place, [
            (f"Who {past} the {thing}?", name), (f"What did {name} {base}?", named), (f"Where did {name} {base} the {noun}?", spot),
            (f"On which day did {name} {base} the {noun}?", day), (f"What is {name}'s trade?", role),
            (f"At what time did {name} {base} the {noun}?", hour),
        ]))
    context = " ".join(sentences)
    rows = []
    for place, questions in chance.sample(events, 2):
        question, answer = chance.evenly(questions)
        # Case aside, since it may stand at the start of its sentence; from the event on, since two people may share a trade.
        start = context.lower().index(answer.lower(), place)
        answer = context[start:start + len(answer)]
        rows.append({
            "id": f"{number:04}-{len(rows)}", "context": context, "question": question,
            "answers": {"text": [answer], "answer_start": [start]},
        })
    return rows


def label_files():
    """Path under tests/data -> content."""
    files = {}
    reviews, messages, seen = Chance("sentiment"), Chance("spam"), set()
    for split, count in (("train", 600), ("valid", 100), ("test", 100)):
        files[f"sentiment/{split}.jsonl"] = json_lines(different(lambda: review(reviews), count, seen))
        files[f"spam/{split}.csv"] = csv_table(["label", "text"], different(lambda: message(messages), count, seen))
    pairs = Translator(Chance("translation")).pairs(1300)
    for split, part in (("train", pairs[:1200]), ("valid", pairs[1200:])):
        files[f"translation/{split}.en"] = "".join(pair[0] + "\n" for pair in part)
        files[f"translation/{split}.xx"] = "".join(pair[1] + "\n" for pair in part)
    for split, count in (("train", 120), ("valid", 20)):
        chance = Chance("qa " + split)
        rows = [row for number in range(count) for row in paragraph(chance, number)]
        files[f"qa/{split}.jsonl"] = json_lines(rows)
    return files
