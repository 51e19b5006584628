# shellcheck shell=bash
# Mode ebpf: sockets of this scenario's processes go straight to endpoints, all others through nftables.

scenario_ebpf() {
	local ip count
	[ "$PROXY" = sluice ] || skip "$PROXY has no such mode"
	[ -e "$CGROUP/cgroup.procs" ] || skip "no cgroup v2 on this machine"
	mkdir -p "$STATE/bpf"
	mountpoint -q "$STATE/bpf" || mount -t bpf e2e "$STATE/bpf" || skip "no BPF filesystem on this machine"
	MODE_FLAGS=(--proxy-mode auto --cgroup-root "$CGROUP")
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

# bypassed ADDRESS: a Pod is answered, and the node forwards nothing to that address.
bypassed() {
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
	seen+=$(in_ns a nft list table ip e2e)
	in_ns a nft delete table ip e2e
	[[ $seen == *" packets 0 "* && $seen != *"no answer"* ]]
}
