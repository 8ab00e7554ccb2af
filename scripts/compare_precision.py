#!/usr/bin/env python3
"""Compares the loss curve of a bf16 run with that of the same run in fp32.

    scripts/compare_precision.py [CONFIG [STEPS]]        configs/pretrain/seed.toml and 300 unless told

Trains twice, from the same weights on the same batches, and prints the mean loss of every 25 steps. Exits 1 where the two
are more than 1 % apart. Needs a release build (`cargo build --release -p grulm-pretrainer`) and the config's data.
"""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = "target/release/pretrainer"
EVERY = 25


def losses(config, steps, precision):
    """Mean loss of every `EVERY` steps in that arithmetic."""
    folder = Path("runs/compare-precision") / precision
    settings = {
        "run.dir": folder,
        "train.precision": precision,
        "train.steps": steps,
        "train.log_every": EVERY,
        "train.evaluate_every": steps,
        "train.checkpoint_every": steps,
    }
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    subprocess.run([PROGRAM, "train", "-c", config, "--overwrite", *options], check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}


def main(config="configs/pretrain/seed.toml", steps="300"):
    subprocess.run([PROGRAM, "prepare", "-c", config], check=True, stdout=subprocess.DEVNULL)
    fp32, bf16 = (losses(config, steps, precision) for precision in ("fp32", "bf16"))
    print("| step | fp32 | bf16 | difference |\n| --- | --- | --- | --- |")
    apart = {step: bf16[step] / loss - 1 for step, loss in fp32.items()}
    for step, loss in fp32.items():
        print(f"| {step} | {loss:.4f} | {bf16[step]:.4f} | {100 * apart[step]:+.2f} % |")
    sys.exit(max(map(abs, apart.values())) > 0.01)


if __name__ == "__main__":
    if len(sys.argv) > 3 or any(argument.startswith("-") for argument in sys.argv[1:]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
