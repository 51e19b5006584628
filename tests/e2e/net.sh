# shellcheck shell=bash
# Two nodes, an outsider and a client Pod, as network namespaces. To be sourced inside a world (lib.sh).
#
#   outside 192.168.50.100 ──┐                       ┌── pod 10.244.1.2 (a client; other Pods come from the agent)
#                           lan ── a 192.168.50.11 ──┤
#   b 192.168.50.12 ─────────┘         │             └── ...
#                                 172.31.x.2 ── API server 172.31.0.1
#
# The proxy under test runs on a. Everything for the cluster goes from outside through a, as through its router.
# The same numbers in IPv6: fd00:50::, fd00:244:N::. With a PREFIX there can be several such networks in a world.

NODE_CIDRS=10.244.0.0/16,fd00:244::/32
SERVICE_NETS=(10.96.0.0/12 203.0.113.0/24 198.51.100.0/24 fd00:96::/112 2001:db8:e::/64 2001:db8:b::/64)

# In mode ebpf the processes of sluice's node and of its Pods are in the cgroup that its programs are attached to;
# EBPF_PREFIX is that network's.
is_in_cgroup() { [[ -n ${EBPF_PREFIX+set} && $1 =~ ^$EBPF_PREFIX(a|pod|a[0-9]+)$ ]]; }

# ns_command NS: COMMAND is then what starts a command there, as one process.
ns_command() {
	COMMAND=(ip netns exec "$1")
	# shellcheck disable=SC2016
	! is_in_cgroup "$1" || COMMAND=(sh -c 'echo $$ >"$0" && exec "$@"' "$CGROUP/cgroup.procs" "${COMMAND[@]}")
}

in_ns() {
	local -a COMMAND
	ns_command "$1"
	shift
	"${COMMAND[@]}" "$@"
}

make_ns() {
	ip netns add "$1"
	ip -netns "$1" link set lo up
	# Refusals must not be rationed, or a test could take them for silence.
	in_ns "$1" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.default.accept_dad=0
	# Newer kernels ration them for each namespace too; older ones have no such setting here.
	in_ns "$1" sysctl -qew net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=10000
}

# join NS DEVICE V4 V6: a leg in the local network of this prefix.
join() {
	local ns=$1 device=$2
	ip -netns "$ns" link add "$device" type veth peer name "to-${ns#"$PREFIX"}" netns "${PREFIX}lan"
	ip -netns "${PREFIX}lan" link set "to-${ns#"$PREFIX"}" master br0 up
	ip -netns "$ns" link set "$device" up
	ip -netns "$ns" address add "$3/24" dev "$device"
	ip -netns "$ns" address add "$4/64" dev "$device" nodad
}

# network_up INDEX [PREFIX]
network_up() {
	local index=$1 ns net
	PREFIX=${2:-}
	for ns in lan a b outside pod; do
		make_ns "$PREFIX$ns"
	done
	ip -netns "${PREFIX}lan" link add br0 type bridge
	ip -netns "${PREFIX}lan" link set br0 up
	join "${PREFIX}a" eth0 192.168.50.11 fd00:50::11
	join "${PREFIX}b" eth0 192.168.50.12 fd00:50::12
	join "${PREFIX}outside" eth0 192.168.50.100 fd00:50::100
	for ns in a b; do
		in_ns "$PREFIX$ns" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		# All other packets go outside, where no host forwards them.
		ip -netns "$PREFIX$ns" route add default via 192.168.50.100
		ip -netns "$PREFIX$ns" route add default via fd00:50::100
	done
	ip -netns "${PREFIX}a" route add 10.244.2.0/24 via 192.168.50.12
	ip -netns "${PREFIX}a" route add fd00:244:2::/64 via fd00:50::12
	ip -netns "${PREFIX}b" route add 10.244.1.0/24 via 192.168.50.11
	ip -netns "${PREFIX}b" route add fd00:244:1::/64 via fd00:50::11
	for net in "${SERVICE_NETS[@]}" 10.244.1.0/24 fd00:244:1::/64; do
		ip -netns "${PREFIX}outside" route add "$net" via "$(case $net in *:*) echo fd00:50::11 ;; *) echo 192.168.50.11 ;; esac)"
	done
	ip -netns "${PREFIX}outside" route add 10.244.2.0/24 via 192.168.50.12
	ip -netns "${PREFIX}outside" route add fd00:244:2::/64 via fd00:50::12

	# The API server, seen from node a alone: cutting this leg is what a partition looks like.
	ip -netns "${PREFIX}a" link add api type veth peer name "api$index" netns 1
	ip address add "172.31.$index.1/24" dev "api$index"
	ip link set "api$index" up
	ip -netns "${PREFIX}a" link set api up
	ip -netns "${PREFIX}a" address add "172.31.$index.2/24" dev api
	ip -netns "${PREFIX}a" route add 172.31.0.1 via "172.31.$index.1"

	pod_up "$PREFIX" a 1 pod 2
}

# pod_up PREFIX NODE INDEX NAME NUMBER: the namespace $PREFIX$NAME as a Pod of that node.
pod_up() {
	local node=$1$2 index=$3 ns=$1$4 number=$5 v4 v6
	v4=10.244.$index.$number v6=$(printf 'fd00:244:%d::%x' "$index" "$number")
	ip netns list | grep -qw "$ns" || make_ns "$ns"
	ip -netns "$node" link add "$4" type veth peer name eth0 netns "$ns"
	ip -netns "$node" -batch - <<-END
		link set $4 up
		address add 10.244.$index.1/32 dev $4
		address add fd00:244:$index::1/128 dev $4 nodad
		address add fe80::1/64 dev $4 nodad
		route add $v4/32 dev $4
		route add $v6/128 dev $4
	END
	ip -netns "$ns" -batch - <<-END
		link set eth0 up
		address add $v4/32 dev eth0
		address add $v6/128 dev eth0 nodad
		route add 10.244.$index.1 dev eth0
		route add default via 10.244.$index.1
		route add default via fe80::1 dev eth0
	END
}

# The two Node objects, as kubelets would register them.
nodes_register() {
	local name index zone
	while read -r name index zone; do
		kubectl apply --server-side -f - >/dev/null <<-END
			apiVersion: v1
			kind: Node
			metadata: {name: $name, labels: {kubernetes.io/hostname: $name, topology.kubernetes.io/zone: $zone}}
			spec: {podCIDR: 10.244.$index.0/24, podCIDRs: [10.244.$index.0/24, "fd00:244:$index::/64"]}
		END
		kubectl patch node "$name" --subresource status --type merge -p '{"status": {
			"addresses": [{"type": "InternalIP", "address": "192.168.50.1'"$index"'"}, {"type": "InternalIP", "address": "fd00:50::1'"$index"'"}],
			"capacity": {"pods": "500", "cpu": "8"}, "allocatable": {"pods": "500", "cpu": "8"},
			"conditions": [{"type": "Ready", "status": "True", "reason": "e2e", "message": "",
				"lastHeartbeatTime": "2024-01-01T00:00:00Z", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}}' >/dev/null
	done <<-END
		node-a 1 za
		node-b 2 zb
	END
}
