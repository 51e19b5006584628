#!/bin/sh
# Fails when a kernel test left a folder or a process behind.  Both carry the
# test's process id in the name of its folder; those of tests that still run are
# nobody's business.
left=0

is_leftover() { # /tmp/sluice-test-PID.XXXXXX…
	pid=${1#/tmp/sluice-test-}
	pid=${pid%%.*}
	! kill -0 "$pid" 2>/dev/null
}

for dir in /tmp/sluice-test-*; do
	[ -e "$dir" ] && is_leftover "$dir" || continue
	echo "left behind: $dir" >&2
	left=1
done

for cmdline in /proc/[0-9]*/cmdline; do
	dir=$({ tr '\0' '\n' <"$cmdline"; } 2>/dev/null | grep -o '^/tmp/sluice-test-[0-9]*\..*' | head -n 1)
	[ -n "$dir" ] && is_leftover "$dir" || continue
	echo "left behind: process $cmdline of $dir" >&2
	left=1
done
exit "$left"
