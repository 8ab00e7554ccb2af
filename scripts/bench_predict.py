#!/usr/bin/env python3
"""Measures `finetuner predict`: how long one text takes from start to end, and the speed and memory of many.

    scripts/bench_predict.py MODEL [ROWS]        a classifier; 10,000,000 rows unless told

One text is labelled 21 times, each time by a new process; the median counts, and must be below half a second. Then a tenth of
the rows and all of them are labelled: with ten times the rows no more than a tenth more may be resident. The rows, short texts
of tests/data/sentiment over and over, are made under runs/bench-predict, which is removed at the end. Exits 1 where a bound is
missed. Needs a release build (`cargo build --release -p grulm-finetuner`).
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path("runs/bench-predict")
PROGRAM = "target/release/finetuner"


def texts():
    with open("tests/data/sentiment/test.jsonl") as file:
        return [json.dumps({"id": number, "text": json.loads(line)["text"][:60]}) for number, line in enumerate(file)]


def run(arguments):
    """Seconds, and bytes resident at most."""
    begun = time.monotonic()
    child = subprocess.Popen([PROGRAM, "predict", *arguments])
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{PROGRAM} predict {' '.join(arguments)} failed")
    return time.monotonic() - begun, usage.ru_maxrss * 1024


def label(model, lines, rows):
    """Labels `rows` rows and checks that all came out."""
    source, target = FOLDER / "in.jsonl", FOLDER / "out.jsonl"
    with open(source, "w") as file:
        for start in range(0, rows, len(lines)):
            file.write("\n".join(lines[: rows - start]) + "\n")
    seconds, resident = run([model, "--input", str(source), "--output", str(target)])
    with open(target, "rb") as file:
        written = sum(1 for _ in file)
    if written != rows:
        sys.exit(f"{written} rows came out of {rows}")
    return seconds, resident


def main(model, rows):
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    lines = texts()
    latency = statistics.median(label(model, lines, 1)[0] for _ in range(21))
    print(f"one text: {latency:.3f} s, start of the process included")
    few, many = rows // 10, rows
    seconds, small = label(model, lines, few)
    print(f"{few:,} rows: {few / seconds:,.0f} a second, {small / 2**20:.0f} MiB resident at most")
    seconds, large = label(model, lines, many)
    print(f"{many:,} rows: {many / seconds:,.0f} a second, {large / 2**20:.0f} MiB resident at most")
    shutil.rmtree(FOLDER)
    sys.exit(latency > 0.5 or large > 1.1 * small)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000)
