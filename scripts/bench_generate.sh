#!/usr/bin/env bash
# Tokens a second of one greedy sequence in the classic set-up (5,000 words, embedding 512, 2 layers of 1,024 units, a softmax with
# weights of its own), for each precision of `pretrainer generate`, against PyTorch, by turns; one Markdown table.
#
#     scripts/bench_generate.sh [--rounds N] [--threads N]
#
# PYTHON names a Python (3.10 or newer) that has torch; .venv/bin/python, else python3, unless told. Without torch the table has
# grulm alone.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-.venv/bin/python}
if ! command -v "$python" >/dev/null; then
    if [[ -n ${PYTHON:-} ]]; then
        echo "bench_generate: no $python; PYTHON should name a Python with torch" >&2
        exit 1
    fi
    python=python3
fi
scripts/libtorch.sh
bench=$(cargo bench --locked -p grulm-model --bench generate --no-run --message-format json |
    python3 -c 'import json, sys
print(*filter(None, (json.loads(line).get("executable") for line in sys.stdin)))')
scripts/check_inlining.sh "$bench"
exec "$python" scripts/peers/generate.py "$bench" "$@"
