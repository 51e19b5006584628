# Three network namespaces in a row, client - proxy - server, the resources of the
# processes there, and the options; for bench/relay and bench/relay_udp, sourced.
# shellcheck shell=bash

# bench_options SCRIPT NAMES [ARGUMENT...]: sets build, and a variable for each --NAME N.
bench_options() {
	local script=$1 names=" $2 " has_build='' number
	shift 2
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) bench_help "$script" ;;
		-*)
			[[ $names == *" ${1#--} "* ]] || bench_refuse "$1: unknown option"
			number='^[1-9][0-9]{0,8}$'
			[ "$1" != --seconds ] || number='^([1-9][0-9]*([.][0-9]+)?|0[.][0-9]*[1-9])$'
			[[ ${2:-} =~ $number ]] || bench_refuse "$1 ${2:-}: not a positive number"
			printf -v "${1#--}" %s "$2"
			shift 2
			;;
		*)
			[ ! "$has_build" ] || bench_refuse "$1: there is one BUILD"
			[ -d "$1" ] || bench_refuse "$1: not a folder"
			build=$1 has_build=1
			shift
			;;
		esac
	done
}

bench_refuse() {
	echo "$1; see --help" >&2
	exit 2
}

# Fills dir, client, proxy and server; pids are ended with the script.
world_init() {
	local ns
	dir=$(mktemp -d) pids=()
	client=relay-$$-c proxy=relay-$$-p server=relay-$$-s
	trap world_fini EXIT
	trap 'exit 1' INT TERM
	for ns in "$client" "$proxy" "$server"; do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
	done
	ip -n "$proxy" link add c type veth peer name p netns "$client"
	ip -n "$proxy" link add s type veth peer name p netns "$server"
	ip -n "$proxy" addr add 10.1.0.1/24 dev c
	ip -n "$proxy" addr add 10.2.0.1/24 dev s
	ip -n "$client" addr add 10.1.0.2/24 dev p
	ip -n "$server" addr add 10.2.0.2/24 dev p
	ip -n "$proxy" link set c up
	ip -n "$proxy" link set s up
	ip -n "$client" link set p up
	ip -n "$server" link set p up
	ip -n "$client" route add default via 10.1.0.1
	ip -n "$server" route add default via 10.2.0.1
	ip netns exec "$proxy" sysctl -qw net.ipv4.ip_forward=1
}

world_fini() {
	local pid ns
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	wait
	for ns in "$client" "$proxy" "$server"; do ip netns del "$ns" 2>/dev/null || true; done
	rm -rf "$dir"
}

# start NAMESPACE COMMAND...: in the background; $! is its process.
start() {
	ip netns exec "$@" >>"$dir/log" 2>&1 &
	pids+=($!)
}

# start_sluice SLUICE: serves the Services of $dir/manifests.
start_sluice() {
	start "$proxy" "$1" run --proxy-mode userspace --manifests "$dir/manifests" \
		--hostname-override bench --control-socket "$dir/sluice.sock" --bpffs-root "$dir/bpf" \
		--healthz-bind-address '' --metrics-bind-address ''
}

# A process and its children.
family() {
	echo "$1"
	tr ' ' '\n' <"/proc/$1/task/$1/children" | grep . || true
}

# Nanoseconds that all threads of these processes ran.
cpu_ns() {
	local pid
	for pid; do
		cat "/proc/$pid"/task/*/schedstat
	done | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# column FILE N [FORMAT]: the median (lowest-highest) of a column.
column() {
	cut -d' ' -f"$2" "$1" | sort -g | awk -v f="${3:-%s}" '{ v[NR] = $1 }
		END { printf f " (" f "-" f ")", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
