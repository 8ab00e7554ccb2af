#!/usr/bin/env bash
# Puts a CPU libtorch into .libtorch/, where .cargo/config.toml looks for it. Does nothing where one is there already, or
# where LIBTORCH or LIBTORCH_USE_PYTORCH says that you bring your own. Needs Python 3.9 or newer with pip, no compiler.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v python3 >/dev/null; then
    echo "libtorch: needs python3 (3.9 or newer, with pip) to fetch libtorch; or set LIBTORCH to a libtorch 2.11.0" >&2
    exit 1
fi
exec python3 scripts/libtorch.py .libtorch
