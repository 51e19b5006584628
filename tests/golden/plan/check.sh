#!/bin/sh
# Does the program print for each case what is kept beside it? With --write it keeps what is printed.
#
#	tests/golden/plan/check.sh PROGRAM [--write]
set -eu
program=$1
write=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
got=$(mktemp)
trap 'rm -f "$got"' EXIT
n=0
bad=0

while read -r name manifest flags; do
	case $name in '#'*|'') continue ;; esac
	n=$((n + 1))
	# Read from standard input, so that no path gets into what is printed.
	# shellcheck disable=SC2086 # flags are words
	"$program" plan --manifests - $flags -o json <"$here/$manifest" >"$got" 2>/dev/null && status=0 || status=$?
	# 1 is for input that was ignored, and for that only.
	case $(grep -c '"rejected": \[\]' "$got") in 0) want=1 ;; *) want=0 ;; esac
	if [ "$status" != "$want" ] || [ ! -s "$got" ]; then
		echo "$name: the program ended with $status"
		bad=$((bad + 1))
	elif [ "$write" = --write ]; then
		cp "$got" "$here/$name.json"
	elif ! diff -u "$here/$name.json" "$got"; then
		echo "$name: not what is kept"
		bad=$((bad + 1))
	fi
done <"$here/cases"

echo "$n cases, $bad differ"
[ "$n" -gt 0 ] && [ "$bad" -eq 0 ]
