#!/usr/bin/env bash
# format.sh [-i]: every .c and .h looks as .clang-format says; -i makes it so.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v clang-format >/dev/null || { echo "no clang-format"; exit 77; }
# Versions differ in what they make of one file; ours is Debian 12's.
clang-format --version | grep -q 'version 14\.' ||
	{ echo "formatted with clang-format 14, this is $(clang-format --version)"; exit 77; }

mode=(--dry-run -Werror)
[ "${1:-}" = -i ] && mode=(-i)
find core watchers rules bpf proxy tests bench -name '*.[ch]' -print0 |
	xargs -0 -P "$(nproc)" -n 16 clang-format --style=file "${mode[@]}"
echo "formatted"
