#!/usr/bin/env python3
"""Compares fine-tuned classifiers with a linear model, and prints one Markdown table.

    scripts/compare_linear.py CONFIG [--folds 5]        for instance configs/finetune/spam.toml
    scripts/compare_linear.py --linear-alone CONFIG...  the linear model's figures on the validation data of each

Fold by fold: the rows of `task.train` and `task.valid` of CONFIG are cut into folds by a hash of the text, letter case and punctuation aside,
so that copies of a text stay together. For each fold, `finetuner train` learns from nine tenths of the other folds and
chooses by the last tenth; the linear model (TF-IDF of words 1-2 and characters 2-4, logistic regression whose C, of 1, 10
and 100, three-fold cross-validation within the training rows chooses) learns from all of them. Both label the fold. Runs lie under runs/compare-linear; what has finished is not done again. Needs scikit-learn
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


def rows(files):
    for name in files:
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
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    features = make_union(words, characters)
    model = GridSearchCV(LogisticRegression(max_iter=1000), {"C": [1, 10, 100]}, cv=3)
    model.fit(features.fit_transform([row["text"] for row in train]), [row["label"] for row in train])
    return model.predict(features.transform([row["text"] for row in test]))


def figures(gold, given, positive):
    """Accuracy, and the F1 of the label `positive`."""
    right = sum(a == b for a, b in zip(gold, given)) / len(gold)
    both = sum(a == b == positive for a, b in zip(gold, given))
    sizes = sum(a == positive for a in gold) + sum(b == positive for b in given)
    return 100 * right, 100 * 2 * both / max(sizes, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--linear-alone", action="store_true")
    chosen = parser.parse_args()
    if chosen.linear_alone:
        linear_alone(chosen.configs)
        return
    if len(chosen.configs) > 1:
        parser.error("several CONFIGs are for --linear-alone")
    by_folds(chosen.configs[0], chosen.folds)


def linear_alone(configs):
    print("| config | texts to learn from | validation texts | accuracy | macro F1 |\n| --- | --- | --- | --- | --- |")
    for config in configs:
        task = tomllib.loads(config.read_text())["task"]
        train, valid = list(rows(task["train"])), list(rows(task["valid"]))
        gold, given = [row["label"] for row in valid], by_linear_model(train, valid)
        macro = statistics.mean(figures(gold, given, label)[1] for label in set(gold))
        accuracy = figures(gold, given, None)[0]
        print(f"| `{config.name}` | {len(train):,} | {len(valid):,} | {accuracy:.1f} | {macro:.1f} |", flush=True)


def by_folds(config, folds):
    task = tomllib.loads(config.read_text())["task"]
    everything = list(rows([*task["train"], *task["valid"]]))
    positive = min({row["label"] for row in everything}, key=lambda name: sum(row["label"] == name for row in everything))
    print(f"| fold | texts | linear accuracy | fine-tuned accuracy | linear F1 of {positive} | fine-tuned F1 of {positive} |")
    print("| --- | --- | --- | --- | --- | --- |")
    found = []
    for fold in range(folds):
        test = [row for row in everything if fold_of(row, folds) == fold]
        train = [row for row in everything if fold_of(row, folds) != fold]
        gold = [row["label"] for row in test]
        linear = figures(gold, by_linear_model(train, test), positive)
        tuned = figures(gold, by_finetuner(config, FOLDER / f"{config.stem}-{fold}", train, test), positive)
        found.append([linear[0], tuned[0], linear[1], tuned[1]])
        print(f"| {fold + 1} | {len(test)} | {' | '.join(f'{figure:.2f}' for figure in found[-1])} |", flush=True)
    print(f"| mean | {len(everything)} | {' | '.join(f'{statistics.mean(column):.2f}' for column in zip(*found))} |")


if __name__ == "__main__":
    main()
