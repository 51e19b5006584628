#!/usr/bin/env bash
# run.sh PROGRAM: fuzzes for $FUZZ_SECONDS (2 otherwise) from the kept corpus, which is not touched.
# An input that fails is left beside the program as fuzz_x-crash-… .
set -euo pipefail

program=$1
name=$(basename "$program")
kept=$(cd "$(dirname "$0")" && pwd)/corpus/${name#fuzz_}
found=$(mktemp -d)
trap 'rm -r "$found"' EXIT

args=("$found")
[ -d "$kept" ] && args+=("$kept")
"$program" -max_total_time="${FUZZ_SECONDS:-2}" -timeout=10 -rss_limit_mb=1024 -max_len=16384 \
	-artifact_prefix="$(dirname "$program")/$name-" -print_final_stats=1 "${args[@]}"
