#!/usr/bin/env python3
"""Prints the README's table of results from finished run folders.

    scripts/results.py RUN_FOLDER...

A row a run: its config's sizes, how long it took, its perplexity on validation and test text. Ends with a line that names
the machine. The runs themselves are made by `pretrainer run -c configs/pretrain/NAME.toml` with the settings that the last
column gives. Needs Python 3.11 or newer (for TOML).
"""

import json
import os
import sys
import tomllib
from pathlib import Path


def machine():
    """The processor, its cores and the instructions that matter here."""
    facts = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = facts.get("flags", "").split()
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    family = f"family {facts.get('cpu family')}, model {facts.get('model')}"
    return f"{facts.get('model name')} ({family}; {', '.join(known)}), {os.cpu_count()} cores"


def row(folder):
    config = tomllib.loads((folder / "config.toml").read_text())
    test = json.loads((folder / "test.json").read_text())
    best = json.loads((folder / "checkpoints" / test["checkpoint"] / "provenance.json").read_text())
    lines = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    seconds = max(line.get("elapsed_seconds", 0) for line in lines)
    speeds = sorted(line["tokens_per_second"] for line in lines if "tokens_per_second" in line)
    peak = max(line.get("peak_mib", 0) for line in lines)
    model, scores = config["model"], test["scores"]
    budget = config["train"].get("budget")
    return [
        f"`{folder}`",
        f"{model['layers']} x {model['hidden']}, embedding {model['embedding']}",
        f"{best['step']:,}",
        f"{seconds / 60:.0f}" + (f" (budget {budget})" if budget else ""),
        f"{speeds[len(speeds) // 2]:,.0f}",
        f"{peak:,.0f}",
        f"{best['scores']['perplexity']:.2f}",
        f"{scores['perplexity']:.2f}",
        f"{scores['tokens']:,}",
    ]


def main(folders):
    heads = ["run", "GRU", "steps", "minutes", "tokens/s", "peak MiB", "valid ppl", "test ppl", "test tokens"]
    print("| " + " | ".join(heads) + " |")
    print("|" + " --- |" * len(heads))
    for folder in folders:
        print("| " + " | ".join(row(Path(folder))) + " |")
    print(f"\nMeasured on {machine()}.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
