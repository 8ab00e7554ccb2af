#!/usr/bin/env bash
# Every test, doc tests included. Arguments go to `cargo test`: scripts/test.sh -p grulm-corpus tokenizer
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/libtorch.sh
cargo test --locked --workspace "$@"
