#!/usr/bin/env python3
"""Cuts data/lm/tinyshakespeare.txt.gz into its usual parts, and compares fine-tuning with training from scratch.

    scripts/shakespeare.py [split|compare]      both, where neither is named

`split` writes runs/shakespeare/text/{train,valid,test}.txt: the first 90 % of the characters, the next 5 %, the last 5 %.
`compare` runs configs/finetune/shakespeare.toml as it is and with `finetune.from_scratch = true`, for as many steps, and prints
one Markdown table of the perplexities of both; from scratch with each of three learning rates, of which the best by validation
counts. What has finished is not done again. Needs a release build (`cargo build --release -p grulm-finetuner`) and the model
of configs/pretrain/novels.toml.
"""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

FINETUNER = os.environ.get("FINETUNER", "target/release/finetuner")
FOLDER = Path("runs/shakespeare")
CONFIG = "configs/finetune/shakespeare.toml"
# Weights that start at random learn best at another rate than those that were learned before.
SCRATCH_RATES = ["2e-3", "3e-3", "5e-3"]


def split():
    with gzip.open("data/lm/tinyshakespeare.txt.gz", "rt", encoding="utf-8", newline="") as file:
        text = file.read()
    folder = FOLDER / "text"
    folder.mkdir(parents=True, exist_ok=True)
    ends = [0, round(0.9 * len(text)), round(0.95 * len(text)), len(text)]
    for name, begin, end in zip(["train", "valid", "test"], ends, ends[1:]):
        (folder / f"{name}.txt").write_text(text[begin:end], encoding="utf-8", newline="")


def run(folder, sets):
    """Perplexities of the best checkpoint on validation and test text."""
    command = [FINETUNER, "train", "-c", CONFIG, "--resume", "--set", f"run.dir={folder}"]
    for value in sets:
        command += ["--set", value]
    print(" ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    best = folder / "checkpoints" / (folder / "best").read_text().strip() / "provenance.json"
    valid, test = (json.loads(path.read_text())["scores"]["perplexity"] for path in (best, folder / "test.json"))
    return valid, test


def compare():
    tuned = run(FOLDER / "model", [])
    scratch = {
        rate: run(
            FOLDER / f"scratch-{rate}",
            ["finetune.from_scratch=true", "finetune.layer_decay=1.0", f"train.learning_rate={rate}"],
        )
        for rate in SCRATCH_RATES
    }
    print("| start | validation perplexity | test perplexity |")
    print("| --- | --- | --- |")
    print(f"| the novels' model | {tuned[0]:.2f} | {tuned[1]:.2f} |")
    best = min(scratch, key=lambda rate: scratch[rate][0])
    for rate, (valid, test) in scratch.items():
        mark = " (the best)" if rate == best else ""
        print(f"| random weights, learning rate {rate}{mark} | {valid:.2f} | {test:.2f} |")


if __name__ == "__main__":
    names = sys.argv[1:] or ["split", "compare"]
    for name in names:
        if name not in ("split", "compare"):
            sys.exit(__doc__)
        {"split": split, "compare": compare}[name]()
