#!/usr/bin/env bash
# Fails where a release binary calls vector instructions as functions: scripts/check_inlining.sh BINARY...
# What touches vectors must become part of a function that is compiled for an instruction set (`Job` in crates/kernels/src/simd).
# A closure, or a function that is not `#[inline(always)]`, still gives the right numbers, several times slower.
set -euo pipefail

[[ $# -gt 0 ]] || { echo "usage: scripts/check_inlining.sh BINARY..." >&2; exit 2; }
for binary; do
    symbols=$(nm -C "$binary")
    # Without names of functions there is nothing to be found.
    grep -q 'grulm_kernels::' <<<"$symbols" || { echo "check_inlining: $binary: no symbols of grulm_kernels" >&2; exit 1; }
    # Those of f32: other crates have some of bytes.
    if found=$(grep -E 'core_arch::.*::_mm(256|512)_.*_ps$' <<<"$symbols"); then
        printf 'check_inlining: %s has vector instructions that are functions of their own:\n%s\n' "$binary" "$found" >&2
        exit 1
    fi
done
