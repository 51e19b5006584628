#!/usr/bin/env bash
# release.sh FOLDER [--again]: the release build in that folder is hardened and names no folder of this machine.
# --again builds it in another folder as well, and compares: every byte is the same.
set -euo pipefail
cd "$(dirname "$0")/.."

program=$1/sluice
failed=0
expect() { # WHAT COMMAND...
	local what=$1
	shift
	"$@" || { echo "$program: $what"; failed=1; }
}

header=$(LC_ALL=C readelf -hW "$program") segments=$(LC_ALL=C readelf -lW "$program")
dynamic=$(LC_ALL=C readelf -dW "$program") symbols=$(LC_ALL=C readelf --dyn-syms -W "$program")
expect "is not position independent" grep -q 'Type: *DYN' <<<"$header"
expect "has no read-only relocations" grep -q GNU_RELRO <<<"$segments"
expect "binds its symbols lazily" grep -q BIND_NOW <<<"$dynamic"
expect "has no stack protector" grep -q '__stack_chk_fail' <<<"$symbols"
expect "has no checked string functions" grep -q '__[a-z]*_chk@' <<<"$symbols"
expect "has an executable stack" grep -q 'GNU_STACK.* RW ' <<<"$segments"
names_folder() { grep -aqF "$PWD" "$program"; }
names_folder && expect "contains the name of the folder of its sources" false

if [ "${2:-}" = --again ]; then
	cache() { sed -n "s/^$1:[A-Z]*=//p" "$program_dir/CMakeCache.txt"; }
	program_dir=$1
	other=$(mktemp -d "${TMPDIR:-/tmp}/sluice-release.XXXXXX")
	trap 'rm -rf "$other"' EXIT
	for name in CMakeLists.txt README.md LICENSE core watchers rules bpf proxy docs deploy; do
		[ ! -e "$name" ] || cp -R "$name" "$other"
	done
	cmake -S "$other" -B "$other/build" -G "$(cache CMAKE_GENERATOR)" -DCMAKE_BUILD_TYPE=Release -DSLUICE_TESTS=OFF \
		-DCMAKE_C_COMPILER="$(cache CMAKE_C_COMPILER)" -DCMAKE_C_COMPILER_LAUNCHER= \
		-DSLUICE_WERROR="$(cache SLUICE_WERROR)" \
		-DSLUICE_COMMIT="$("$program" version | grep -oE '[0-9a-f]{12}|unknown' | head -n 1)" >"$other/log"
	cmake --build "$other/build" -j "$(nproc)" --target sluice >>"$other/log" || { tail "$other/log"; exit 1; }
	expect "differs from a build in another folder" cmp "$program" "$other/build/sluice"
fi
[ "$failed" = 0 ] && echo "hardened${2:+, and built twice to the same bytes}"
