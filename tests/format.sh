#!/usr/bin/env bash
# format.sh [-i]: every .c and .h looks as .clang-format says; -i makes it so.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v clang-format >/dev/null || { echo "no clang-format"; exit 77; }
# Versions differ in what they make of one file; ours is Debian 12's.
clang-format --version | grep -q 'version 14\.' ||
	{ echo "formatted with clang-format 14, this is $(clang-format --version)"; exit 77; }

fix=''
[ "${1:-}" = -i ] && fix=1
export fix
look() {
	[ -z "$fix" ] || clang-format --style=file -i "$@"
	clang-format --style=file --dry-run -Werror "$@" 2>/dev/null && return
	for file; do
		clang-format --style=file --dry-run -Werror "$file" 2>/dev/null || echo "$file"
	done
}
export -f look

wrong=$(find core watchers rules bpf proxy tests bench -name '*.[ch]' -print0 |
	xargs -0 -P "$(nproc)" -n 16 bash -c 'look "$@"' _ | sort)
[ -z "$wrong" ] || { printf '%s\n' "not as .clang-format says (tests/format.sh -i):" "$wrong"; exit 1; }
echo "formatted"
