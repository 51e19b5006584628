# shellcheck shell=bash
# Mode ebpf: sockets of this scenario's processes go straight to endpoints, all others through nftables.

scenario_ebpf() {
	local ip count
	[ "$PROXY" = sluice ] || skip "$PROXY has no such mode"
	[ -e "$CGROUP/cgroup.procs" ] || skip "no cgroup v2 on this machine"
	mkdir -p "$STATE/bpf"
	mountpoint -q "$STATE/bpf" || mount -t bpf e2e "$STATE/bpf" || skip "no BPF filesystem on this machine"
	MODE_FLAGS=(--proxy-mode auto --cgroup-root "$CGROUP")
	awk 'BEGIN { RS = "---\n" } /\nkind: ClusterRole\n/' "$PROJECT/deploy/kube-proxy-replacement-ebpf.yaml" | kubectl apply -f - >/dev/null
	reap proxy
	proxy_start
	echo "$BASHPID" >"$CGROUP/cgroup.procs"
	[ "$(in_ns a curl -fsS http://127.0.0.1:10249/proxyMode)" = ebpf ] || skip "not here: $(grep -F ebpf "$STATE/proxy.log" | head -n 1)"

	deployment straight 3
	expose straight
	ip=$(cluster_ip straight)
	await 30 answered pod "$ip:80" 3 || fail "a Pod gets $(answers pod "$ip:80")"
	fact "answers after $TOOK"
	await 10 answered a "$ip:80" 3 || fail "the node gets $(answers a "$ip:80")"
	await 10 bypassed "$ip" || fail "packets of a Pod arrive at the node with the address of the Service"
	opt_out "$ip"
	load_start load pod "$ip:80"
	for count in 8 2; do
		kubectl scale deployment straight --replicas "$count" >/dev/null
		await 60 answered pod "$ip:80" "$count" || fail "$count Pods: $(answers pod "$ip:80")"
		fact "$count Pods after $TOOK"
	done
	load_flawless load
	expose straight --name straight2
	ip=$(cluster_ip straight2)
	await 30 answered pod "$ip:80" 2 || fail "a second Service: $(answers pod "$ip:80")"
	kubectl delete service straight2 >/dev/null
	await 30 unanswered pod "$ip:80" || fail "a deleted Service answers: $(answers pod "$ip:80")"
	fact "a Service created and deleted"
	reap proxy
	in_ns a "$SLUICE" cleanup --bpffs-root "$STATE/bpf" >/dev/null 2>&1 || fail "cleanup fails"
	[ ! -e "$STATE/bpf/sluice" ] || fail "cleanup leaves $(ls "$STATE/bpf/sluice")"
}

# opt_out ADDRESS: a Pod with the annotation, in a cgroup that is named as the kubelet names it, is left to nftables.
opt_out() {
	local dir
	kubectl apply -f - >/dev/null <<-END
		{apiVersion: v1, kind: Pod, metadata: {name: opted-out, annotations: {sluice.io/socket-lb: disabled}},
		 spec: {nodeName: node-a, containers: [{name: client, image: none}]}}
	END
	dir=$CGROUP/kubepods/besteffort/pod$(kubectl get pod opted-out -o jsonpath='{.metadata.uid}')
	mkdir -p "$dir"
	await 10 in_cgroup "$dir" forwarded "$1" || fail "sockets of a Pod that opted out do not use the address of the Service"
	fact "a Pod that opts out is left to nftables after $TOOK"
	await 10 bypassed "$1" || fail "other Pods are left to nftables, too"
	kubectl annotate pod opted-out sluice.io/socket-lb- >/dev/null
	await 10 in_cgroup "$dir" bypassed "$1" || fail "a Pod without the annotation is left to nftables"
	fact "and served by eBPF again $TOOK after it lost the annotation"
	kubectl delete pod opted-out --grace-period 0 --force >/dev/null 2>&1
	await 10 rmdir "$dir" || fail "processes stay in $dir: $(cat "$dir/cgroup.procs")" # those that asked last
	rmdir "$CGROUP/kubepods/besteffort" "$CGROUP/kubepods"
}

in_cgroup() { (echo "$BASHPID" >"$1/cgroup.procs" && "${@:2}"); }

# bypassed ADDRESS: a Pod is answered, and the node forwards nothing to that address. forwarded: it does.
bypassed() { [[ $(forwards "$1") == *" packets 0 "* ]]; }
forwarded() { [[ $(forwards "$1") == *" packets "[1-9]* ]]; }

# forwards ADDRESS: the counter of packets to it while a Pod asks there; nothing without all answers.
forwards() {
	local seen=
	in_ns a nft -f - <<-END
		table ip e2e {
			chain seen {
				type filter hook prerouting priority -400
				ip daddr $1 counter
			}
		}
	END
	answered pod "$1:80" 3 || seen="no answer"
	[ -n "$seen" ] || in_ns a nft list table ip e2e
	in_ns a nft delete table ip e2e
}
