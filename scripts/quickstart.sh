#!/usr/bin/env bash
# From a fresh clone to a small language model and sentences of its own: libtorch, a release build, `pretrainer run` on the
# sample corpus, generated text. Some ten minutes on two cores, most of it the build. Everything it makes is ignored by git.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

config=configs/pretrain/quickstart.toml
run_dir=runs/quickstart/model

step() { printf '\n== %s\n' "$*" >&2; }

step "libtorch"
scripts/libtorch.sh

step "cargo build --release -p grulm-pretrainer"
cargo build --locked --release -p grulm-pretrainer
# Not always target/: CARGO_TARGET_DIR and cargo's own config may say otherwise.
pretrainer=$(cargo metadata --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/pretrainer

step "$pretrainer run -c $config --overwrite"
"$pretrainer" run -c "$config" --overwrite

generate() {
    step "$pretrainer generate $run_dir --prompt '$1' --seed $2"
    "$pretrainer" generate "$run_dir" --prompt "$1" --seed "$2" --max-tokens 100 --temperature 0.7 --top-p 0.95
}

generate "Rosa" 1
generate "Rosa" 2
generate "One winter morning" 3
generate "Last Friday Tom was in the forest." 4
generate "" 5
