#!/usr/bin/env python3
"""Times grulm's training step against PyTorch's and Keras', by turns, and prints one Markdown table. See scripts/bench_peers.sh.

    compare.py BENCH [SETUP...] [--rounds N] [--threads N] [--only TEXT]...

BENCH is the built bench `step` of grulm-train, which also says what sizes a set-up has. Every way to make the step is a process
of its own that stays alive; in a round each makes one step to wake up and one that is timed, while all others wait. The table
has the medians. A way that cannot run (a package is missing, say) is reported on standard error and left out.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
GRULM = ["grulm fp32", "grulm bf16"]
PEERS = {
    "pytorch_step.py": ["eager fp32", "autocast bf16", "compile fp32", "compile bf16"],
    "keras_step.py": ["fp32", "mixed bf16", "XLA fp32", "XLA mixed bf16"],
}
LIBRARIES = {"pytorch_step.py": "PyTorch", "keras_step.py": "Keras"}


class Way:
    """A process that makes the step one way, warm once `start` has returned."""

    def __init__(self, name, command, environment):
        self.name, self.times, self.losses = name, [], []
        # A file, for a pipe that nobody reads would stop the process once it is full.
        self.messages = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.messages, text=True, env=environment
        )

    def start(self):
        """What the process says it is; None, with the reason on standard error, where it ended instead."""
        begun = time.monotonic()
        line = self.process.stdout.readline()
        if line:
            print(f"{self.name}: ready after {time.monotonic() - begun:.0f} s", file=sys.stderr)
            return json.loads(line)
        print(f"{self.name}: left out, {self.reason()}", file=sys.stderr)
        return None

    def turn(self):
        print(file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name}: {self.reason()}")
        seconds, loss = json.loads(line)
        self.times.append(seconds)
        self.losses.append(loss)

    def reason(self):
        """Why the process ended: its status and the last line of its messages."""
        status = self.process.wait()
        self.messages.seek(0)
        lines = self.messages.read().strip().splitlines() or ["no message"]
        return f"ended with status {status}: {lines[-1]}"

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def commands(bench, sizes, threads, only):
    """Name and command line of grulm's ways to make the step, and of the peers' whose names contain a text of `only`."""
    for name in GRULM:
        yield name, [bench, sizes["name"], "--turns", name]
    for script, ways in PEERS.items():
        for way in ways:
            command = [sys.executable, HERE / script, json.dumps(sizes), way, str(threads)]
            name = f"{LIBRARIES[script]} {way}"
            if any(text in name for text in only):
                yield name, command


def measure(sizes, chosen):
    """The ways that could run, with their times, and what each said it is."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(chosen.threads)}
    ways, versions = [], []
    for name, command in commands(chosen.bench, sizes, chosen.threads, chosen.only):
        way = Way(name, command, environment)
        if (said := way.start()) is not None:
            ways.append(way)
            versions.append(said)
    for _ in range(chosen.rounds):
        for way in ways:
            way.turn()
    for way in ways:
        way.end()
        print(f"{sizes['name']}, {way.name}: loss {way.losses[0]:.4f} to {way.losses[-1]:.4f}", file=sys.stderr)
    return ways, versions


def rows(sizes, ways):
    """The set-up's lines of the table: seconds, speed, and how many times as long as grulm's a step takes."""
    medians = {way.name: statistics.median(way.times) for way in ways}
    for name, seconds in medians.items():
        speed = sizes["batch"] * sizes["time"] / seconds
        shares = " | ".join(f"{seconds / medians[own]:.2f}" for own in GRULM)
        yield f"| {sizes['name']} | {name} | {seconds:.3f} | {speed:,.0f} | {shares} |"


def processor():
    """The processor's name and the extensions that matter here, as Linux tells them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    known = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in fields.get("flags", "").split()]
    return f"{fields.get('model name', platform.machine())} ({', '.join(known)})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("setups", nargs="*", metavar="SETUP")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", metavar="TEXT", help="of the peers' ways only those so named")
    chosen = parser.parse_args()
    chosen.only = chosen.only or [""]
    if min(chosen.rounds, chosen.threads) < 1:
        parser.error("--rounds and --threads are at least 1")
    listed = subprocess.run([chosen.bench, "--list"], check=True, capture_output=True, text=True).stdout
    known = {sizes["name"]: sizes for sizes in json.loads(listed)}
    if unknown := set(chosen.setups) - set(known):
        parser.error(f"no set-up {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    table, versions = [], {}  # a dict, for its keys keep their order
    for name in chosen.setups or known:
        ways, said = measure(known[name], chosen)
        table += rows(known[name], ways)
        versions |= dict.fromkeys(said)
    print(f"{processor()}, {os.cpu_count()} cores, {chosen.threads} threads, medians of {chosen.rounds} rounds;")
    print(f"{', '.join(versions)}, Python {platform.python_version()}, Linux {platform.release().split('-')[0]}\n")
    print("| set-up | step | s | tokens/s | times grulm fp32 | times grulm bf16 |\n| --- | --- | --- | --- | --- | --- |")
    print("\n".join(table))


if __name__ == "__main__":
    main()
