#!/usr/bin/env bash
# bare.sh [TREE]: the README's two commands, ./demo and ./check, on a Debian 12 that has nothing but its base system.
# Needs root, debootstrap and the network. TREE, by default in ~/.cache, is made at the first run and kept; the trial
# runs in a copy of it, in namespaces of its own, on a clone of HEAD. Ends with check's result; prints each skip and why.
set -euo pipefail
cd "$(dirname "$0")/.."

tree=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-bare}
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
if [ ! -e "$tree" ]; then
	command -v debootstrap >/dev/null || { echo "needs debootstrap: apt-get install debootstrap"; exit 77; }
	rm -rf "$tree.part"
	mkdir -p "$(dirname "$tree")"
	debootstrap --variant=minbase bookworm "$tree.part" >&2
	mv "$tree.part" "$tree"
fi

root=$(mktemp -d "${TMPDIR:-/tmp}/sluice-bare.XXXXXX")
trap 'rm -rf --one-file-system "$root"; [ -z "${cgroup:-}" ] || rmdir "$cgroup"' EXIT
trap 'exit 130' INT TERM HUP
cp -a --reflink=auto "$tree/." "$root"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/sluice-bare" # the copy is thrown away: no fsync for each file
git clone -q --no-hardlinks . "$root/root/sluice"

# Where cgroup v2 is mounted: the trial has a cgroup of its own, and sees no other.
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
cgroup=
if [ -n "$cgroups" ]; then
	cgroup=$cgroups/sluice-bare.$$
	mkdir "$cgroup"
fi

# inside NETWORK COMMAND: in the copy; its processes and mounts end with the command. NETWORK: host, or own.
inside() (
	own=()
	[ "$1" = own ] && own=(--net)
	[ -z "$cgroup" ] || { echo "$BASHPID" >"$cgroup/cgroup.procs" && own+=(--cgroup); }
	exec unshare --mount --pid --fork --kill-child --ipc --uts "${own[@]}" bash -euc '
		mount --make-rprivate /
		mount --bind "$1" "$1" # ip netns wants the root to be a mount
		mount -t proc proc "$1/proc"
		if ! mount -t sysfs sysfs "$1/sys" 2>/dev/null; then
			mount --rbind /sys "$1/sys"
		fi
		[ -z "$4" ] || mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
		mount --rbind /dev "$1/dev"
		mount -t tmpfs tmpfs "$1/run"
		exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb PATIENCE="$3" \
			bash -c "cd /root/sluice && $2"' _ "$root" "$2" "${PATIENCE:-1}" "$cgroup"
)

# The packages come from the network; everything else needs none.
inside host 'tests/packages.sh deploy/build-packages tests/test-packages'
inside own 'ip link set lo up && ./demo </dev/null'
inside own 'ip link set lo up && ./check </dev/null'
