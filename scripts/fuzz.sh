#!/usr/bin/env bash
# Fuzzes what reads files from strangers: scripts/fuzz.sh [SECONDS] [TARGET]..., 1200 seconds for each of all targets where
# nothing is named. Begins with the seeds in fuzz/seeds; what was found interesting is kept in fuzz/corpus, what was found
# broken in fuzz/artifacts (both ignored by git). Needs a nightly compiler and cargo-fuzz (cargo install cargo-fuzz).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds="${1:-1200}"
targets=("${@:2}")
if [ "${#targets[@]}" -eq 0 ]; then
    targets=(config shard manifest labels text tokenizer weights)
fi

scripts/libtorch.sh
export LD_LIBRARY_PATH="$PWD/.libtorch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target"
    features=()
    if [ "$target" = weights ]; then
        features=(--features libtorch)
    fi
    # Memory that libtorch keeps to the end of the process is no finding.
    cargo +nightly fuzz run ${features[@]+"${features[@]}"} "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=3000 -detect_leaks=0 -print_final_stats=1
done
