#!/usr/bin/env python3
"""Compares the time of fine-tuning the head alone with that of fine-tuning all layers, and prints one Markdown table.

    scripts/bench_frozen.py [CONFIG] [--epochs 3] [--threads 0]     CONFIG: configs/finetune/sentiment.toml unless given

A frozen encoder reads every text once, and its summaries are kept for the epochs to come: the time of that pass is counted. The
two ways take turns, three times; the median ratio counts. The exit status is 1 where the head alone is less than four times as
fast. Runs lie in a temporary folder. Needs a release build (`cargo build --release -p grulm-finetuner`), the pretrained model
and the data set that CONFIG names.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from finetune_table import FINETUNER, layers

LEAST = 4.0
ROUNDS = 3


def seconds(config, freeze, epochs, threads):
    """What a training takes, the reading of the files before it aside."""
    with tempfile.TemporaryDirectory() as folder:
        sets = [f"run.dir={folder}/run", f"run.threads={threads}", f"train.epochs={epochs}", f"finetune.freeze_layers={freeze}"]
        command = [FINETUNER, "train", "-c", str(config), *(word for value in sets for word in ("--set", value))]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines = (Path(folder) / "run" / "timing.jsonl").read_text().splitlines()
        return max(json.loads(line).get("elapsed_seconds", 0.0) for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", type=Path, default=Path("configs/finetune/sentiment.toml"))
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=0)
    chosen = parser.parse_args()
    frozen, full = [], []
    for _ in range(ROUNDS):
        for freeze, times in ((layers(chosen.config), frozen), (0, full)):
            times.append(seconds(chosen.config, freeze, chosen.epochs, chosen.threads))
    ratio = statistics.median(slow / fast for slow, fast in zip(full, frozen))
    print("| config | epochs | head alone, s | all layers, s | ratio |\n| --- | --- | --- | --- | --- |")
    medians = [f"{statistics.median(times):.1f}" for times in (frozen, full)]
    print(f"| {chosen.config.stem} | {chosen.epochs:g} | {' | '.join(medians)} | {ratio:.1f} |")
    if ratio < LEAST:
        sys.exit(f"{ratio:.1f} times as fast; expected {LEAST:g}")


if __name__ == "__main__":
    main()
