#!/bin/sh
# leftovers.sh [--remove]
#
# Fails when a kernel test left a folder, a process, a cgroup or BPF programs
# behind.  Names carry the test's process id; what belongs to a test that still
# runs is not looked at, nor are the pins that a running daemon holds its lock on.
#
# With --remove it only names and removes cgroups of killed tests that have no processes.
left=0

is_leftover() { # …/sluice-test-PID, or …/sluice-test-PID.XXXXXX…
	pid=${1#*/sluice-test-}
	pid=${pid%%.*}
	! kill -0 "$pid" 2>/dev/null
}

# Places of this type of filesystem that this process can see.
mounts_of() {
	awk -v type="$1" '$3 == type { print $2 }' /proc/mounts
}

if [ "$1" = --remove ]; then
	for cgroup in $(mounts_of cgroup2); do
		for dir in "$cgroup"/sluice-test-*; do
			[ -e "$dir" ] && is_leftover "$dir" || continue
			find "$dir" -depth -type d -exec rmdir {} \; 2>/dev/null && [ ! -e "$dir" ] &&
				echo "removed: cgroup $dir of a test that was killed"
		done
	done
	exit 0
fi

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

has_daemon=
for bpffs in $(mounts_of bpf); do
	[ -d "$bpffs/sluice" ] || continue
	if flock -n "$bpffs/sluice" true; then
		echo "left behind: pins in $bpffs/sluice" >&2
		left=1
	else
		has_daemon=yes
	fi
done

for cgroup in $(mounts_of cgroup2); do
	for dir in "$cgroup"/sluice-test-*; do
		[ -e "$dir" ] && is_leftover "$dir" || continue
		echo "left behind: cgroup $dir" >&2
		left=1
	done
	[ -z "$has_daemon" ] && command -v bpftool >/dev/null || continue
	if bpftool cgroup show "$cgroup" 2>/dev/null | grep -E ' (connect|sendmsg|recvmsg|getpeername)[46]$' >&2; then
		echo "left behind: these programs on $cgroup" >&2
		left=1
	fi
done
exit "$left"
