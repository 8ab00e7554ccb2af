#!/usr/bin/env bash
# What CI runs: format, clippy and rustdoc with warnings as errors, who depends on tch, the sample data against its generator,
# every test.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*" >&2; }

step "libtorch"
scripts/libtorch.sh

step "format"
cargo fmt --all --check

step "clippy"
cargo clippy --locked --workspace --all-targets -- -D warnings

step "rustdoc"
RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --locked --workspace --no-deps

step "crates that need no libtorch"
for package in grulm-config grulm-corpus grulm-durable grulm-metrics; do
    if cargo tree --locked --edges normal,build --package "$package" | grep -E '(tch|torch-sys) v'; then
        echo "$package must not depend on tch" >&2
        exit 1
    fi
done

step "sample data"
python3 scripts/sample_data.py --check

step "tests"
scripts/test.sh
