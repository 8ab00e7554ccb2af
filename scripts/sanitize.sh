#!/usr/bin/env bash
# Runs the tests of the kernels under the address and the thread sanitizer: scripts/sanitize.sh [address|thread]...
# The sanitizers are nightly features of rustc; where no nightly toolchain is installed, RUSTC_BOOTSTRAP opens them in the
# stable one. libtorch itself is not instrumented: the first sees what Rust and the bridge do with its memory. The second
# sees the kernels alone, on threads of the standard library in place of OpenMP's, whose synchronisation it does not see.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/libtorch.sh

cargo=(cargo)
if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
    cargo=(cargo +nightly)
else
    export RUSTC_BOOTSTRAP=1
fi
target=$(rustc -vV | sed -n 's/^host: //p')

check() {
    printf '\n== %s sanitizer\n' "$1" >&2
    RUSTFLAGS="-Zsanitizer=$1 ${2:-}" "${cargo[@]}" test --locked -p grulm-kernels --target "$target" \
        --target-dir "target/sanitize-$1" --lib --tests -- "${@:3}"
}

for sanitizer in "${@:-address thread}"; do
    for name in $sanitizer; do
        case $name in
        # Memory that libtorch keeps to the end of the process is no finding.
        address) ASAN_OPTIONS=detect_leaks=0 check address ;;
        thread) TSAN_OPTIONS="suppressions=$PWD/scripts/tsan.supp" check thread "--cfg grulm_std_threads" native simd gru sequence ;;
        *) echo "unknown sanitizer '$name'; expected address or thread" >&2 && exit 2 ;;
        esac
    done
done
