#!/usr/bin/env python3
"""Prints the README's tables of results from finished run folders.

    scripts/results.py RUN_FOLDER...

A row a run of `pretrainer run`: its config's sizes, how long it took, its perplexity on validation and test text. In a table of
their own, runs of `finetuner train`, those that differ in the seed alone in one row: what they start from, the figures of the
best checkpoint on validation data (means, and each seed's), and on test data where the config names some. Ends with a line
that names the machine. Needs Python 3.11 or newer (for TOML).
"""

import json
import os
import statistics
import sys
import tomllib
from pathlib import Path

from finetune_table import FIGURES


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


def seconds_of(folder):
    lines = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    return max(line.get("elapsed_seconds", 0) for line in lines), lines


def pretrained(folder, config):
    test = json.loads((folder / "test.json").read_text())
    best = json.loads((folder / "checkpoints" / test["checkpoint"] / "provenance.json").read_text())
    seconds, lines = seconds_of(folder)
    speeds = sorted(line["tokens_per_second"] for line in lines if "tokens_per_second" in line)
    peak = max(line.get("peak_mib", 0) for line in lines)
    model, scores = config["model"], test["scores"]
    budget = config["train"].get("budget")
    widths = [str(model["hidden"])] * model["layers"]
    if model["tie_weights"] and not model["projection"]:
        widths[-1] = str(model["embedding"])
    return [
        f"`{folder}`",
        f"layers of {', '.join(widths)}, embedding {model['embedding']}",
        f"{best['step']:,}",
        f"{seconds / 60:.0f}" + (f" (budget {budget})" if budget else ""),
        f"{speeds[len(speeds) // 2]:,.0f}",
        f"{peak:,.0f}",
        f"{best['scores']['perplexity']:.2f}",
        f"{scores['perplexity']:.2f}",
        f"{scores['tokens']:,}",
    ]


def fine_tuned(folders, config):
    def figures(scores):
        said = []
        for key, head, factor in FIGURES[config["task"]["kind"]]:
            values = [factor * of_run[key] for of_run in scores]
            each = f" ({', '.join(f'{value:.1f}' for value in values)})" if len(values) > 1 else ""
            said.append(f"{head} {statistics.mean(values):.1f}{each}")
        return ", ".join(said)

    best = [folder / "checkpoints" / (folder / "best").read_text().strip() for folder in folders]
    valid = [json.loads((folder / "provenance.json").read_text())["scores"] for folder in best]
    test = [json.loads((folder / "test.json").read_text())["scores"] for folder in folders if (folder / "test.json").exists()]
    start, threads = config["finetune"], config["run"]["threads"]
    minutes = statistics.median(seconds_of(folder)[0] for folder in folders) / 60
    return [
        f"`{folders[0]}`",
        "random weights" if start["from_scratch"] else f"`{start['pretrained']}`",
        f"{minutes:.0f}" + (f" ({threads} thread{'s' * (threads > 1)})" if threads else ""),
        figures(valid),
        figures(test) if len(test) == len(folders) else "-",
    ]


def table(heads, rows):
    if rows:
        print("| " + " | ".join(heads) + " |")
        print("|" + " --- |" * len(heads))
        print("".join(f"| {' | '.join(row)} |\n" for row in rows))


def main(folders):
    language_models, tasks = [], {}
    for folder in map(Path, folders):
        config = tomllib.loads((folder / "config.toml").read_text())
        if "task" not in config:
            language_models.append(pretrained(folder, config))
            continue
        alike = config | {"run": config["run"] | {"dir": "", "seed": 0}}
        tasks.setdefault(json.dumps(alike, sort_keys=True), (config, []))[1].append(folder)
    heads = ["run", "GRU", "steps", "minutes", "tokens/s", "peak MiB", "valid ppl", "test ppl", "test tokens"]
    table(heads, language_models)
    heads = ["run", "from", "minutes", "validation", "test"]
    table(heads, [fine_tuned(of_seeds, config) for config, of_seeds in tasks.values()])
    print(f"Measured on {machine()}.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
