#!/usr/bin/env bash
# The tests that kill the programs without warning (SIGKILL), at many more random moments than `scripts/test.sh` does:
# scripts/soak.sh [KILLS], 50 for each command and arithmetic where no number is given. Says how many hit.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/libtorch.sh
export GRULM_KILLS="${1:-50}"
cargo test --locked -p grulm-pretrainer -p grulm-finetuner -- --nocapture --test-threads 1 survive
