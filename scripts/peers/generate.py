#!/usr/bin/env python3
"""Times grulm's generation of one greedy sequence against PyTorch's, by turns, and prints one Markdown table. See
scripts/bench_generate.sh.

    generate.py BENCH [--rounds N] [--threads N]

BENCH is the built bench `generate` of grulm-model. Every way to generate is a process of its own that stays alive; in a round each
is timed while all others wait. The table has the medians. A way that cannot run (torch is missing, say) is reported on standard
error and left out.
"""

import argparse
import os
import platform
import statistics
import sys

from compare import HERE, Way, processor

TOKENS = 250  # a turn
GRULM = ["fp32", "bf16", "int8"]
PYTORCH = ["fp32 nn.GRU", "bf16 nn.GRU", "bf16 cell", "int8 dynamic"]
# What the others are compared with.
MEASURES = ["PyTorch bf16 cell", "PyTorch int8 dynamic"]


def measure(chosen):
    """The median tokens a second of each way that could run, and what each said it is."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(chosen.threads)}
    commands = [(f"grulm {way}", [chosen.bench, "--turns", way, str(TOKENS)]) for way in GRULM]
    script = [sys.executable, HERE / "pytorch_generate.py"]
    commands += [(f"PyTorch {way}", [*script, way, str(chosen.threads), str(TOKENS)]) for way in PYTORCH]
    ways, versions = [], {}  # a dict, for its keys keep their order
    for name, command in commands:
        way = Way(name, command, environment)
        if (said := way.start()) is not None:
            ways.append(way)
            versions[said] = None
    for _ in range(chosen.rounds):
        for way in ways:
            way.turn()
    for way in ways:
        way.end()
    return {way.name: TOKENS / statistics.median(way.times) for way in ways}, versions


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    if min(chosen.rounds, chosen.threads) < 1:
        parser.error("--rounds and --threads are at least 1")
    speeds, versions = measure(chosen)
    measures = [name for name in MEASURES if name in speeds]
    print(f"{processor()}, {os.cpu_count()} cores, {chosen.threads} threads, medians of {chosen.rounds} rounds;")
    print(f"{', '.join(versions)}, Python {platform.python_version()}, Linux {platform.release().split('-')[0]}\n")
    print("| " + " | ".join(["one greedy sequence", "tokens/s", *(f"against {name}" for name in measures)]) + " |")
    print("| --- | --- |" + " --- |" * len(measures))
    for name, speed in speeds.items():
        print("| " + " | ".join([name, f"{speed:,.0f}", *(f"{speed / speeds[other]:.2f}" for other in measures)]) + " |")


if __name__ == "__main__":
    main()
