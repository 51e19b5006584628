# shellcheck shell=bash
# Used by every script here: a world of its own to run in, packages, processes, waiting. To be sourced.
set -euo pipefail

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROJECT=$(cd "$E2E/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/sluice

say() { echo "e2e: $*" >&2; }
die() { say "$*"; exit 1; }
skip_all() { say "skipped: $*"; exit 77; }

apt_get() {
	command -v apt-get >/dev/null || skip_all "no apt-get to install with"
	DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >&2 ||
		{ apt-get -qq update >&2 && DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >&2; }
}

# unpacked PACKAGE FOLDER: the contents of a Debian package in the cache; not installed, for that could start a server.
unpacked() {
	[ ! -d "$CACHE/$2" ] || return 0
	local dir
	dir=$(mktemp -d)
	say "fetching $1"
	(chmod 755 "$dir" && cd "$dir" && apt_get download "$1" && dpkg-deb -x "$1"_*.deb unpacked) &&
		mkdir -p "$CACHE" && mv -T "$dir/unpacked" "$CACHE/$2" && rm -r "$dir"
}

# ETCD is a program, or "debian": the one that Debian has, from before the API server could stream lists out of it.
choose_etcd() {
	if [ "${ETCD:=$KUBE/etcd}" = debian ]; then
		unpacked etcd-server etcd
		ETCD=$CACHE/etcd/usr/bin/etcd
	fi
	[ -x "$ETCD" ] || die "ETCD is the path of a program, or debian: $ETCD"
	export ETCD
}

# of prometheus or promtool
prometheus_path() { command -v "$1" || { unpacked prometheus prometheus && echo "$CACHE/prometheus/usr/bin/$1"; }; }

# Builds what is needed, then starts the calling script again where nothing it does can be seen from outside: network,
# mount and process namespaces of its own, with a /run of its own. When it ends, however it ends, the kernel ends
# all its processes and takes down all its networks. NEED names the programs besides Kubernetes', the agent if nothing else.
in_own_world() {
	[ "${E2E_INSIDE:-}" != 1 ] || { settle; return; }
	[ "$(id -u)" = 0 ] || skip_all "needs root, to make network namespaces"
	"$PROJECT/tests/packages.sh" "$PROJECT/tests/e2e-packages" >&2
	local status=0 name path
	KUBE=$("$E2E/build.sh" kube) || exit $?
	choose_etcd
	for name in ${NEED:-agent}; do
		case $name in
		prometheus | promtool) path=$(prometheus_path "$name") || exit $? ;;
		*) path=$("$E2E/build.sh" "$name") || exit $? ;;
		esac
		export "${name^^}=$path" # AGENT, ORACLE, ...
	done
	E2E_CGROUP=$(findmnt -rno TARGET -t cgroup2 | head -n 1) || E2E_CGROUP=
	E2E_CGROUP=${E2E_CGROUP:+$E2E_CGROUP/sluice-e2e-$$}
	export E2E_INSIDE=1 KUBE E2E_CGROUP
	trap 'await 5 remove_cgroup || true' EXIT
	# Not exec: this shell stays, so that Ctrl-C and kill reach a process that can end the world; and when even that is
	# not to be, the world goes with its parent.
	setpriv --pdeathsig KILL unshare --net --mount --pid --fork --mount-proc --kill-child=KILL -- "$0" "$@" &
	local world=$!
	trap 'kill -KILL "$world" 2>/dev/null || true; exit 130' INT TERM HUP
	wait "$world" || status=$?
	exit "$status"
}

# The world's own cgroup in $CGROUP, when the machine has cgroup v2; the machine's are not mounted: a proxy in mode auto
# would attach its eBPF programs to their root.
own_cgroup() {
	CGROUP=/run/cgroup
	if [ -n "$E2E_CGROUP" ] && mkdir -p $CGROUP "$E2E_CGROUP"; then
		mount --bind "$E2E_CGROUP" $CGROUP
	fi
	{ findmnt -rno TARGET -t cgroup2 | grep -vxF $CGROUP || true; } | xargs -r -n 1 umount -l
}

settle() {
	mount -t tmpfs -o mode=755 e2e /run
	mkdir -p /run/netns
	ip link set lo up
	own_cgroup
	STATE=${STATE:-/run/e2e}
	mkdir -p "$STATE"
	chmod 700 "$STATE"
	export PATH=$KUBE:$PATH KUBECONFIG=$STATE/admin.kubeconfig KUBECACHEDIR=$STATE/kubectl-cache STATE
}

remove_cgroup() { [ ! -d "$E2E_CGROUP" ] || find "$E2E_CGROUP" -depth -type d -exec rmdir {} +; }

# spawn NAME COMMAND...: runs it in the background; reap NAME [SIGNAL] ends it and waits.
declare -gA PIDS=()
spawn() {
	local name=$1
	shift
	"$@" >>"$STATE/$name.log" 2>&1 </dev/null &
	PIDS[$name]=$!
	disown # or bash prints a line when it is killed
}

reap() {
	local pid=${PIDS[$1]} tries
	unset "PIDS[$1]"
	kill "-${2:-TERM}" "$pid" 2>/dev/null || return 0
	# Not wait: a scenario also ends what another shell has started.
	for ((tries = 0; tries < 400; tries++)); do
		is_running "$pid" || return 0
		sleep 0.05
	done
	say "$1 does not end, killed"
	kill -KILL "$pid"
}

# A process whose first thread is a zombie still holds its sockets while another thread is there.
is_running() {
	local tasks=("/proc/$1/task"/*)
	[ -e "/proc/$1/stat" ] && { [ ${#tasks[@]} -gt 1 ] || ! grep -q '^[0-9]* (.*) Z' "/proc/$1/stat" 2>/dev/null; }
}

alive() { is_running "${PIDS[$1]:-none}"; }

now_ms() { date +%s%3N; }

# await SECONDS COMMAND...: until it succeeds; then TOOK is how long that was, like "1.83 s". PATIENCE=3 waits three times as
# long, for a machine that has other things to do.
await() {
	local limit=$(($1 * ${PATIENCE:-1})) start
	shift
	start=$(now_ms)
	until "$@" >/dev/null 2>&1; do
		[ $(($(now_ms) - start)) -lt $((limit * 1000)) ] || return 1
		sleep 0.05
	done
	local ms=$(($(now_ms) - start))
	printf -v TOOK '%d.%02d s' $((ms / 1000)) $((ms % 1000 / 10))
}
