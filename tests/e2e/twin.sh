#!/usr/bin/env bash
# Two proxies side by side: one random cluster, a network of its own around each, the same clients and backends in both.
# Every frontend is asked over TCP and UDP, IPv4 and IPv6, from a Pod, from the node, from outside, and from a backend:
# who answers, whom they see, and how a refusal looks must be the same, and what kube-proxy's own code says it should be.
#
#   twin.sh [SEED...]        kube-proxy against sluice; PROXY=kube-proxy twin.sh: kube-proxy against itself
#
# With FROM_FILE=1 sluice reads the same objects from a file, not from the API server; SLUICE_MODE=ebpf is its mode.
# Differences that are meant to be are in differences.md.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=cluster.sh
. "$E2E/cluster.sh"
# shellcheck source=net.sh
. "$E2E/net.sh"
# shellcheck source=proxy.sh
. "$E2E/proxy.sh"

need_proxy
NEED="agent oracle twin" in_own_world "$@"

# One of the two: network INDEX with this PREFIX, its backends and its proxy.
twin_up() {
	local index=$1 prefix=$2 kind=$3 node number
	network_up "$index" "$prefix"
	# A second address, where node ports have no place to be; never a source.
	ip -netns "${prefix}a" address add 192.168.50.111/24 dev eth0
	ip -netns "${prefix}a" address add fd00:50::111/64 dev eth0 nodad preferred_lft 0
	for node in a b; do
		for number in 10 11 12; do
			pod_up "$prefix" $node "$([ $node = a ] && echo 1 || echo 2)" "$node$number" "$number"
			spawn "$prefix-$node$number" ip netns exec "$prefix$node$number" "$AGENT" serve -name "$node$number" -ports 8080,8081
		done
	done
	proxy_start "proxy-$prefix" "${prefix}a" "$kind"
}

# kube-proxy 1.36 registers the proxier after its Node handler: if the Node comes between the two, it never learns its zone,
# and serves as if it had none (NewNodeTopologyConfig() in cmd/kube-proxy/app/server.go). A change of the zone reaches it.
zones_learned() { grep 'Updated proxier node topology labels' "$1" | tail -n 2 | grep -c "\"$2\"" | grep -qx 2; }

teach_zone() {
	local zone prefix
	zone=$(kubectl get node node-a -o jsonpath='{.metadata.labels.topology\.kubernetes\.io/zone}')
	kubectl label --overwrite node node-a topology.kubernetes.io/zone=elsewhere
	kubectl label --overwrite node node-a topology.kubernetes.io/zone="$zone"
	for prefix; do
		await 60 zones_learned "$STATE/proxy-$prefix.log" "$zone" || die "the kube-proxy of $prefix does not learn its zone"
	done
}

namespace_of() { case $1 in node) echo a ;; backend) echo a10 ;; *) echo "$1" ;; esac; }

answers_last() { in_ns "$1pod" "$AGENT" hits -n 1 "$LAST:80" | grep -q a10; }

probe() { in_ns "$1$(namespace_of "$2")" "$TWIN" probe -plan "$STATE/plan.json" -from "$2" >"$STATE/$1-$2.json"; }

compare_seed() {
	local seed=$1 prefix from status=0 mode=
	kubectl delete endpointslices,services --all >/dev/null
	"$TWIN" apply -kubeconfig "$KUBECONFIG" -seed "$seed"
	LAST=$(kubectl get service last -o jsonpath='{.spec.clusterIP}')
	kubectl get nodes,services,endpointslices -A -o json >"$STATE/objects.new"
	mv "$STATE/objects.new" "$STATE/objects.json"
	for prefix in k s; do
		await 60 answers_last $prefix || die "the proxy of $prefix does not serve: $(tail -n 5 "$STATE/proxy-$prefix.log")"
	done
	"$ORACLE" expect -manifests "$STATE/objects.json" -node node-a -cluster-cidr "$NODE_CIDRS" >"$STATE/plan.json"
	[ "$PROXY" != sluice ] || mode=$SLUICE_MODE
	for from in pod node outside backend; do
		probe k $from &
		probe s $from
		wait $!
		"$TWIN" compare -mode "$mode" -plan "$STATE/plan.json" -from $from "$STATE/k-$from.json" "$STATE/s-$from.json" || status=1
	done
	return $status
}

[ $# -gt 0 ] || set -- 1
cluster_up
nodes_register
kubectl get nodes -o json >"$STATE/objects.json"
[ -z "${FROM_FILE:-}" ] || SLUICE_MANIFESTS=$STATE/objects.json
twin_up 1 k kube-proxy
twin_up 2 s "$PROXY"
if [ "$PROXY" = kube-proxy ]; then teach_zone k s; else teach_zone k; fi
failed=0
for seed; do
	echo "seed $seed: kube-proxy first, $PROXY second"
	compare_seed "$seed" || failed=$((failed + 1))
done
echo "$# clusters compared, $failed with differences"
[ "$failed" = 0 ]
