#!/usr/bin/env python3
"""Compares the speed of a real `pretrainer train` with that of the bare step of the benchmark.

    scripts/bench_train.py [ROUNDS]        3 unless told

The set-up is the benchmark's "seed" (vocabulary 5,000, embedding 512, two layers of 1,024, batches of 32 x 64, no dropout),
in bf16 and fp32, on the text of tests/data/corpus and invented words. By turns: the benchmark's step, then 60 steps of
training with data loading, logging and metrics. Prints the medians of tokens/s; exits 1 where training has less than 95 %.
Needs a release build (`cargo build --release -p grulm-pretrainer`).
"""

import json
import random
import statistics
import subprocess
import sys
from pathlib import Path

FOLDER = Path("runs/bench-train")
STEPS = 60
CONFIG = f"""
[run]
dir = "{FOLDER}/model"
[corpus]
dir = "{FOLDER}/corpus"
train = ["{FOLDER}/text.txt"]
[tokenizer]
kind = "word"
vocab_size = 5_000
[model]
embedding = 512
hidden = 1024
layers = 2
tie_weights = false
[model.dropout]
embedding = 0.0
input = 0.0
hidden = 0.0
weight = 0.0
output = 0.0
[train]
steps = {STEPS}
batch_size = 32
sequence_length = 64
log_every = 10
"""


def text():
    """Lines of words drawn by frequency, more of them than the vocabulary has; the same ones each time."""
    chance = random.Random(1)
    words = sorted({word for path in Path("tests/data/corpus").glob("*.txt") for word in path.read_text().split()})
    words += [f"word{index}" for index in range(8_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return "".join(" ".join(chance.choices(words, weights, k=20)) + "\n" for _ in range(20_000))


def bench(rounds):
    """Tokens/s of the benchmark's steps, by precision."""
    command = ["cargo", "bench", "--locked", "-q", "-p", "grulm-train", "--bench", "step", "--", "seed"]
    output = subprocess.run([*command, "--rounds", str(rounds)], check=True, capture_output=True, text=True).stdout
    cells = [[cell.strip() for cell in line.split("|")] for line in output.splitlines() if "| grulm " in line]
    return {row[2].removeprefix("grulm "): float(row[4]) for row in cells}


def train(precision):
    """Tokens/s of training, the first lines, where caches and allocators settle, aside."""
    command = ["target/release/pretrainer", "train", "-c", FOLDER / "config.toml", "--overwrite"]
    subprocess.run([*command, "--set", f"train.precision={precision}"], check=True, capture_output=True)
    rows = [json.loads(line) for line in (FOLDER / "model" / "timing.jsonl").read_text().splitlines()]
    speeds = [row["tokens_per_second"] for row in rows if "tokens_per_second" in row]
    return statistics.median(speeds[1:])


def main(rounds):
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "text.txt").write_text(text())
    (FOLDER / "config.toml").write_text(CONFIG)
    prepare = ["target/release/pretrainer", "prepare", "-c", FOLDER / "config.toml"]
    subprocess.run(prepare, check=True, capture_output=True)
    bare, trained = {"fp32": [], "bf16": []}, {"fp32": [], "bf16": []}
    for _ in range(rounds):
        for precision, speed in bench(3).items():
            bare[precision].append(speed)
        for precision, speeds in trained.items():
            speeds.append(train(precision))
    print("| precision | step, tokens/s | training, tokens/s | share |\n| --- | --- | --- | --- |")
    least = 1
    for precision in bare:
        step, run = statistics.median(bare[precision]), statistics.median(trained[precision])
        least = min(least, run / step)
        print(f"| {precision} | {step:,.0f} | {run:,.0f} | {100 * run / step:.0f} % |")
    sys.exit(least < 0.95)


if __name__ == "__main__":
    if len(sys.argv) > 2 or not all(argument.isdigit() for argument in sys.argv[1:]):
        sys.exit(__doc__)
    main(int(sys.argv[1]) if len(sys.argv) == 2 else 3)
