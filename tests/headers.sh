#!/usr/bin/env bash
# headers.sh [COMPILER]: every header of ours compiles alone, without warnings; so does the demo's client, as ./demo does it.
set -euo pipefail
cd "$(dirname "$0")/.."

export CC=${1:-${CC:-cc}}

compile() {
	# As included, not as the main file: there #pragma once is a warning.
	echo "#include \"$1\"" |
		"$CC" -fsyntax-only -x c -std=gnu17 -D_GNU_SOURCE -I. -Wall -Wextra -Wshadow \
			-Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror - ||
		{ echo "$1 does not compile alone"; return 1; }
}
export -f compile

# *.bpf.h are for the BPF compiler; building the programs checks them
headers=$(find core watchers rules bpf proxy tests bench -name '*.h' ! -name '*.bpf.h' | sort)
xargs -P "$(nproc)" -I{} bash -c 'compile "$1"' _ {} <<<"$headers"
"$CC" -fsyntax-only -O2 -D_GNU_SOURCE -I. -Wall -Werror tests/demo/traffic.c
echo "$(wc -l <<<"$headers") headers compile alone"
