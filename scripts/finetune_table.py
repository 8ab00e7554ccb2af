#!/usr/bin/env python3
"""Fine-tunes with and without pretraining, in several ways and from fewer labels, and prints one Markdown table.

    scripts/finetune_table.py [SET...] [--seeds N] [--labels 100,500,all] [--ways scratch,frozen,gradual,all]

Sets: sentiment, spam, spam-mail, question-type, topic, imdb, squad, babi-qa1, babi-qa4, cmrc, mafand-en-yo, tatoeba-en-fr,
multi30k-de-en, multi30k-en-de (configs/finetune/SET.toml, with the data sets under data/); the first five unless named. Of
questions and translations, labels are rows; sets of parallel files, or whose validation data is cut from the training file, are
only learned from whole (--labels all). Every training is a run of its own under runs/finetune-table. What has finished is not
done again, and what was stopped goes on: stop it whenever you like and start it once more. Figures are those of the validation
data, means over the seeds. Needs a release build (`cargo build --release -p grulm-finetuner`) and the pretrained models that the
configs name.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

FINETUNER = os.environ.get("FINETUNER", "target/release/finetuner")
FOLDER = Path("runs/finetune-table")
SMALL = ["sentiment", "spam", "spam-mail", "question-type", "topic"]
# What a kind of task is scored by: name in the scores, head of the column, factor to percent.
FIGURES = {
    "classification": [("accuracy", "accuracy", 100), ("macro_f1", "macro F1", 100)],
    "question_answering": [("exact_match", "exact match", 1), ("f1", "F1", 1)],
    "translation": [("bleu", "BLEU", 1), ("chrf", "chrF", 1)],
}
# Where a config starts from a classifier, which was shown labels, the comparison starts from the language model beneath.
BENEATH = {"sentiment": ["finetune.pretrained=runs/reviews/model", "finetune.layer_decay=1.0"]}
WAYS = {
    "scratch": ("from scratch", ["finetune.from_scratch=true", "finetune.layer_decay=1.0"]),
    "frozen": ("head alone", ["finetune.freeze_layers={layers}"]),
    "gradual": ("gradually unfrozen", ["finetune.unfreeze=gradual"]),
    "all": ("all at once", []),
}
# A classifier's head that learns alone, from summaries that are computed once, wants all layers, a higher rate and more epochs.
HEAD_ALONE = {"classification": (["task.pool=all", "train.learning_rate=1e-2"], 8)}
# A small set is read so often that the number of updates is about that of all labels with one pass.
LEAST_UPDATES = 200


def subset(files, labels, seed):
    """A file with `labels` rows of `files`, chosen by a hash, as many of each label as there are in the whole."""
    target = FOLDER / "labels" / f"{hashlib.sha256(str(files).encode()).hexdigest()[:8]}-{labels}-{seed}.jsonl"
    if not target.exists():
        rows = [line for name in files for line in gzip.open(name, "rt", encoding="utf-8")]
        order = sorted(rows, key=lambda row: hashlib.sha256(f"{seed} {row}".encode()).digest())
        share = labels / len(rows)
        taken, quota = [], {}
        for row in rows:
            label = json.loads(row).get("label")  # questions have none
            quota[label] = quota.get(label, 0) + share
        for row in order:
            label = json.loads(row).get("label")
            if quota[label] >= 0.5:
                quota[label] -= 1
                taken.append(row)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(taken), encoding="utf-8")
    return target


def network_alone(task):
    """What is compared are networks: no linear model is ensembled with them."""
    if task["kind"] != "classification":
        return []
    return ["task.ngrams=0"] + ["task.character_ngrams=0"] * ("character_ngrams" in task)


def settings(config, way, labels, seed):
    """What is set beside the config for one run: its folder, and `--set` values."""
    name, tables = config.stem, tomllib.loads(config.read_text())
    task, train = tables["task"], tables["train"]
    sets = [f"run.seed={seed}", *BENEATH.get(name, []), *network_alone(task)]
    epochs = train["epochs"]
    if labels != "all":
        part = subset(task["train"], int(labels), seed)
        sets.append(f'task.train=["{part}"]')
        updates = epochs * int(labels) / train["batch_size"]
        if updates < LEAST_UPDATES:
            epochs = round(epochs * LEAST_UPDATES / updates)
        sets.append("train.evaluate_every=20")  # an epoch is a few updates
    if way == "frozen":
        more, times = HEAD_ALONE.get(task["kind"], ([], 1))
        sets += more
        epochs *= times if labels == "all" else 1
    sets += [f"train.epochs={float(epochs)}", *WAYS[way][1]]
    # Other settings are another run.
    key = hashlib.sha256(json.dumps([config.read_text(), sets]).encode()).hexdigest()[:8]
    return FOLDER / f"{name}-{way}-{labels}-{seed}-{key}", sets


def layers(config):
    """The layers of the pretrained model: embedding and GRU layers."""
    bundle = Path(tomllib.loads(config.read_text())["finetune"]["pretrained"])
    if (bundle / "best").exists():
        bundle = bundle / "checkpoints" / (bundle / "best").read_text().strip()
    return json.loads((bundle / "model.json").read_text())["model"]["layers"] + 1


def run(config, way, labels, seed):
    """Figures, seconds and learned parameters of a run, which is made or gone on with where it has not finished."""
    folder, sets = settings(config, way, labels, seed)
    result = folder / "result.json"
    if not result.exists():
        sets = [value.replace("{layers}", str(layers(config))) for value in sets] + [f"run.dir={folder}"]
        command = [FINETUNER, "train", "-c", str(config), "--resume"]
        for value in sets:
            command += ["--set", value]
        print(" ".join(command), file=sys.stderr, flush=True)
        table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        best = folder / "checkpoints" / (folder / "best").read_text().strip()
        last = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
        seconds = max(line.get("elapsed_seconds", 0.0) for line in last)
        learned = re.search(r"([\d,]+) of them learn", table)[1]
        scores = json.loads((best / "provenance.json").read_text())["scores"]
        result.write_text(json.dumps({"scores": scores, "seconds": seconds, "learned": learned}))
    return json.loads(result.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", default="100,500,all")
    parser.add_argument("--ways", default=",".join(WAYS))
    chosen = parser.parse_args()
    kind = None
    for name in chosen.sets or SMALL:
        config = Path(f"configs/finetune/{name}.toml")
        section = tomllib.loads(config.read_text())["task"]
        task, labels_of_set = section["kind"], chosen.labels.split(",")
        if isinstance(section["train"], dict) or {"valid_last", "valid_fraction"} & section.keys():
            labels_of_set = ["all"]
        figures = FIGURES[task]
        if task != kind:
            heads = ["set", "labels", "way", *(head for _, head, _ in figures), "seconds", "parameters that learn"]
            print(("\n" if kind else "") + f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
            kind = task
        for labels in labels_of_set:
            for way in chosen.ways.split(","):
                runs = [run(config, way, labels, seed) for seed in range(1, chosen.seeds + 1)]
                scores = [[factor * run["scores"][key] for run in runs] for key, _, factor in figures]
                spread = f" ± {statistics.stdev(scores[0]):.1f}" if len(runs) > 1 else ""
                means = [f"{statistics.mean(of_runs):.1f}" for of_runs in scores]
                seconds = statistics.median(run["seconds"] for run in runs)
                row = [name, labels, WAYS[way][0], means[0] + spread, *means[1:], f"{seconds:.0f}"]
                print(f"| {' | '.join(row)} | {runs[0]['learned']} |", flush=True)


if __name__ == "__main__":
    main()
