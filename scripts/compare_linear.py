#!/usr/bin/env python3
"""Compares a fine-tuned classifier with a linear model, fold by fold, and prints one Markdown table.

    scripts/compare_linear.py CONFIG [--folds 5]        for instance configs/finetune/spam.toml

The rows of `task.train` and `task.valid` of CONFIG are cut into folds by a hash of the text, letter case and punctuation aside,
so that copies of a text stay together. For each fold, `finetuner train` learns from nine tenths of the other folds and
chooses by the last tenth; the linear model (TF-IDF of words 1-2 and characters 2-4, logistic regression) learns from all of
them. Both label the fold. Runs lie under runs/compare-linear; what has finished is not done again. Needs scikit-learn
(PYTHON names a Python that has it, else the one that runs this), a release build of finetuner and the pretrained model.
"""

import argparse
import gzip
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

FINETUNER = os.environ.get("FINETUNER", "target/release/finetuner")
FOLDER = Path("runs/compare-linear")


def rows(task):
    for name in [*task["train"], *task["valid"]]:
        with gzip.open(name, "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)


def plain(text):
    """A text without letter case, punctuation and spaces: the same for copies of one text."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def fold_of(row, folds):
    return int(hashlib.sha256(plain(row["text"]).encode()).hexdigest(), 16) % folds


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def by_finetuner(config, folder, train, test):
    """The labels that a fine-tuned model gives to the texts of `test`."""
    write(folder / "train.jsonl", train)
    write(folder / "test.jsonl", test)
    command = [FINETUNER, "train", "-c", str(config), "--resume"]
    sets = [f'task.train=["{folder}/train.jsonl"]', "task.valid=[]", "task.valid_fraction=0.1", f"run.dir={folder}/run"]
    for value in sets:
        command += ["--set", value]
    subprocess.run(command, check=True, stdout=sys.stderr)
    labelled = folder / "labelled.jsonl"
    files = ["--input", str(folder / "test.jsonl"), "--output", str(labelled)]
    subprocess.run([FINETUNER, "predict", str(folder / "run"), *files], check=True)
    return [json.loads(line)["label"] for line in labelled.read_text(encoding="utf-8").splitlines() if line]


def by_linear_model(train, test):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LogisticRegression(C=10, max_iter=1000))
    model.fit([row["text"] for row in train], [row["label"] for row in train])
    return model.predict([row["text"] for row in test])


def figures(gold, given, positive):
    """Accuracy, and the F1 of the label `positive`."""
    right = sum(a == b for a, b in zip(gold, given)) / len(gold)
    both = sum(a == b == positive for a, b in zip(gold, given))
    sizes = sum(a == positive for a in gold) + sum(b == positive for b in given)
    return 100 * right, 100 * 2 * both / max(sizes, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    chosen = parser.parse_args()
    everything = list(rows(tomllib.loads(chosen.config.read_text())["task"]))
    positive = min({row["label"] for row in everything}, key=lambda name: sum(row["label"] == name for row in everything))
    print(f"| fold | texts | linear accuracy | fine-tuned accuracy | linear F1 of {positive} | fine-tuned F1 of {positive} |")
    print("| --- | --- | --- | --- | --- | --- |")
    found = []
    for fold in range(chosen.folds):
        test = [row for row in everything if fold_of(row, chosen.folds) == fold]
        train = [row for row in everything if fold_of(row, chosen.folds) != fold]
        gold = [row["label"] for row in test]
        linear = figures(gold, by_linear_model(train, test), positive)
        tuned = figures(gold, by_finetuner(chosen.config, FOLDER / f"{chosen.config.stem}-{fold}", train, test), positive)
        found.append([linear[0], tuned[0], linear[1], tuned[1]])
        print(f"| {fold + 1} | {len(test)} | {' | '.join(f'{figure:.2f}' for figure in found[-1])} |", flush=True)
    print(f"| mean | {len(everything)} | {' | '.join(f'{statistics.mean(column):.2f}' for column in zip(*found))} |")


if __name__ == "__main__":
    main()
