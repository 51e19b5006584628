# shellcheck shell=bash
# The proxy under test, on a node of the test: sluice, or kube-proxy to see that the test itself is right. To be sourced.

PROXY=${PROXY:-sluice}
SLUICE=${SLUICE:-$PROJECT/build/sluice}
SLUICE_MODE=${SLUICE_MODE:-nftables}
MODE_FLAGS=(--proxy-mode "$SLUICE_MODE")

# ebpf_up NAMESPACE: a BPF filesystem, and the cgroup for this node.
ebpf_up() {
	[ -e "$CGROUP/cgroup.procs" ] || skip_all "no cgroup v2 on this machine"
	mkdir -p "$STATE/bpf"
	mountpoint -q "$STATE/bpf" || mount -t bpf e2e "$STATE/bpf" || skip_all "no BPF filesystem on this machine"
	EBPF_PREFIX=${1%a}
	MODE_FLAGS=(--proxy-mode ebpf --cgroup-root "$CGROUP")
}

# proxy_start [NAME NAMESPACE PROXY]: started as NAME (its log is NAME.log), in that node's namespace.
proxy_start() {
	local name=${1:-proxy} ns=${2:-a} kind=${3:-$PROXY}
	local -a source=(--kubeconfig "$STATE/sluice.kubeconfig")
	[ -z "${SLUICE_MANIFESTS:-}" ] || source=(--manifests "$SLUICE_MANIFESTS")
	case $kind in
	sluice)
		[ "$SLUICE_MODE" != ebpf ] || ebpf_up "$ns"
		spawn "$name" ip netns exec "$ns" "$SLUICE" run "${source[@]}" --hostname-override node-a \
			"${MODE_FLAGS[@]}" --cluster-cidr "$NODE_CIDRS" --bpffs-root "$STATE/bpf" \
			--control-socket "$STATE/$name.sock" --state-dir "$STATE/$name.objects"
		;;
	kube-proxy)
		cat >"$STATE/$name.yaml" <<-END
			apiVersion: kubeproxy.config.k8s.io/v1alpha1
			kind: KubeProxyConfiguration
			mode: nftables
			hostnameOverride: node-a
			clusterCIDR: "$NODE_CIDRS"
			clientConnection: {kubeconfig: "$STATE/sluice.kubeconfig"}
			conntrack: {maxPerCore: 0}
		END
		spawn "$name" ip netns exec "$ns" kube-proxy --config "$STATE/$name.yaml" -v 4
		;;
	*) die "PROXY is sluice or kube-proxy, not $kind" ;;
	esac
	await 60 in_ns "$ns" curl -fsS http://127.0.0.1:10256/healthz || die "$kind does not start: $(tail -n 5 "$STATE/$name.log")"
}

need_proxy() {
	[ "$PROXY" != sluice ] || [ -x "$SLUICE" ] || skip_all "no $SLUICE: build it first, or set SLUICE, or PROXY=kube-proxy"
}
