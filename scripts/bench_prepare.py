#!/usr/bin/env python3
"""Prepares a large corpus and prints how fast that went and how much memory it took.

    scripts/bench_prepare.py [GIGABYTES] [--near]        2 unless told; --near also looks for near duplicates

The text is made here, under runs/bench-prepare, which is removed at the end: paragraphs of words drawn by frequency from
those of tests/data/corpus and from invented ones, a tenth of them repeated. Exits 1 where more than 1 GiB was resident.
Needs a release build (`cargo build --release -p grulm-pretrainer`).
"""

import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path("runs/bench-prepare")
CONFIG = """
[run]
dir = "{folder}/model"
[corpus]
dir = "{folder}/corpus"
train = ["{folder}/text"]
unit = "paragraph"
valid_fraction = 0.01
[corpus.dedup]
exact = true
near = {near}
[tokenizer]
vocab_size = 16_000
"""


def paragraphs(size):
    """Paragraphs of `size` bytes in all; the same ones each time."""
    chance = random.Random(1)
    words = sorted({word for path in Path("tests/data/corpus").glob("*.txt") for word in path.read_text().split()})
    words += ["".join(chance.choices("aeioubdfgklmnprstv", k=chance.randint(3, 10))) for _ in range(50_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    chance.shuffle(words)
    pool = chance.choices(words, weights, k=4_000_000)
    written, before = 0, ""
    while written < size:
        start = chance.randrange(len(pool) - 200)
        text = before if before and chance.random() < 0.1 else " ".join(pool[start : start + chance.randint(20, 150)])
        before = text
        yield text + "\n\n"
        written += len(text) + 2


def main(gigabytes, near):
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "text").mkdir(parents=True)
    size = int(gigabytes * 1e9)
    with open(FOLDER / "text" / "large.txt", "w") as file:
        file.writelines(paragraphs(size))
    config = FOLDER / "config.toml"
    config.write_text(CONFIG.format(folder=FOLDER, near="true" if near else "false"))
    begun = time.monotonic()
    subprocess.run(["target/release/pretrainer", "prepare", "-c", config], check=True)
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{gigabytes} GB in {seconds:.0f} s, {size / seconds / 1e6:.1f} MB/s, {peak:.0f} MiB resident at most")
    shutil.rmtree(FOLDER)
    sys.exit(peak > 1024)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    near = "--near" in arguments
    numbers = [argument for argument in arguments if argument != "--near"]
    try:
        gigabytes = float(numbers[0]) if numbers else 2.0
    except ValueError:
        sys.exit(__doc__)
    main(gigabytes, near)
