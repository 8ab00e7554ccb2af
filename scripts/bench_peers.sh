#!/usr/bin/env bash
# grulm's training step against the same model in PyTorch and in Keras over TensorFlow, by turns; one Markdown table.
#
#     scripts/bench_peers.sh [SETUP...] [--rounds N] [--threads N] [--only TEXT]...
#
# Set-ups: seed, wide, ptb, awd; all unless named. `--only autocast` leaves out the peers' ways that are named otherwise.
#
# PYTHON names a Python (3.10 or newer) that has torch and tensorflow; .venv/bin/python unless told. What it lacks is left out.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-.venv/bin/python}
if ! command -v "$python" >/dev/null; then
    echo "bench_peers: no $python; set PYTHON to a Python with torch and tensorflow, or make one:" >&2
    echo "    python3 -m venv .venv && .venv/bin/pip install torch==2.11.0 tensorflow-cpu" >&2
    exit 1
fi
scripts/libtorch.sh
bench=$(cargo bench --locked -p grulm-train --bench step --no-run --message-format json |
    python3 -c 'import json, sys
print(*filter(None, (json.loads(line).get("executable") for line in sys.stdin)))')
scripts/check_inlining.sh "$bench"
exec "$python" scripts/peers/compare.py "$bench" "$@"
