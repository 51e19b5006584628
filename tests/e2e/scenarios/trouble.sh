# shellcheck shell=bash
# Trouble of clusters: the API server away, history forgotten, credentials and rights changed, a flood.

# served NAME N: a Service with N of N+1 Pods as endpoints, by hand, so that the proxy is measured and not a controller.
# IP is its address, PODS are the Pods'.
served() {
	deployment "$1" $(($2 + 1))
	read -ra PODS <<<"$(pod_ips "$1")"
	by_hand "$1" 8080 "${PODS[@]:0:$2}" >/dev/null
	IP=$(cluster_ip "$1")
	await 30 answered pod "$IP:80" "$2" || fail "before: $(answers pod "$IP:80")"
}

# Something new must get through to the proxy: the last Pod too.
follows() {
	by_hand "$1" 8080 "${PODS[@]}" >/dev/null
	await 180 answered pod "$IP:80" "${#PODS[@]}" || fail "changes do not arrive any more: $(answers pod "$IP:80"), wanted ${#PODS[@]} Pods"
	fact "a change arrives after $TOOK"
}

apiserver_killed() { reap apiserver KILL; }

apiserver_back() {
	local start
	start=$(now_ms)
	apiserver_start
	fact "API server back after $(($(now_ms) - start)) ms"
}

# asked_since LINE TEXT: what the proxy asked for since that line of the audit log, with this in it: "RESOURCE STATUS ...".
asked_since() {
	tail -n "+$(($1 + 1))" "$STATE/audit.log" | grep -F -- "$2" |
		sed -n 's/.*"objectRef":{"resource":"\([a-z]*\)".*"responseStatus":{.*"code":\([0-9]*\).*/\1 \2/p' | sort -u | xargs
}

proxy_restart() {
	AUDITED=$(wc -l <"$STATE/audit.log")
	reap proxy
	proxy_start
}

# The first reading: streamed by an API server that can, in pages from one that can't, and the same comes of it.
scenario_first_lists() {
	local streamed paged all="endpointslices 200 nodes 200 servicecidrs 200 services 200"
	served lists 2
	load_start load pod "$IP:80"
	proxy_restart
	await 60 answered pod "$IP:80" 2 || fail "streamed: $(answers pod "$IP:80")"
	streamed=$(asked_since "$AUDITED" sendInitialEvents=true) paged=$(asked_since "$AUDITED" '"verb":"list"')
	[ "$streamed" = "$all" ] || fail "streamed lists: $streamed, wanted $all"
	[ -z "$paged" ] || fail "streamed, and listed too: $paged"
	apiserver_killed
	apiserver_start --feature-gates WatchList=false
	proxy_restart
	await 60 answered pod "$IP:80" 2 || fail "paged: $(answers pod "$IP:80")"
	streamed=$(asked_since "$AUDITED" sendInitialEvents=true) paged=$(asked_since "$AUDITED" '"verb":"list"')
	[[ $streamed == *services* && $streamed != *200* ]] || fail "the API server streams lists that it shouldn't: $streamed"
	[ "$paged" = "$all" ] || fail "paged lists: $paged, wanted $all"
	fact "streamed at first, refused with $(grep -o '[0-9]*' <<<"$streamed" | sort -u | xargs), then paged"
	follows lists
	apiserver_killed
	apiserver_start
	load_flawless load
}

scenario_compacted() {
	local before round
	served gap 2
	before=$(kubectl get service gap -o jsonpath='{.metadata.resourceVersion}')
	# Node a is cut off while things change and history is thrown away.
	ip link set api1 down
	for round in 1 2 3 4 5; do
		kubectl annotate service gap "round=$round" --overwrite >/dev/null
		kubectl annotate endpointslice gap-by-hand "round=$round" --overwrite >/dev/null
	done
	by_hand gap 8080 "${PODS[@]}" >/dev/null
	by_hand gap2 8080 "${PODS[@]:0:1}" >/dev/null
	apiserver_killed
	etcd_compact >/dev/null
	apiserver_start
	expect_gone "$before"
	ip link set api1 up
	await 180 answered pod "$IP:80" 3 || fail "what changed meanwhile did not arrive: $(answers pod "$IP:80")"
	fact "caught up after $TOOK"
	IP=$(cluster_ip gap2)
	await 180 answered pod "$IP:80" 1 || fail "the new Service did not arrive: $(answers pod "$IP:80")"
	kubectl delete service gap2 >/dev/null
	await 180 unanswered pod "$IP:80" || fail "watches no more: a deleted Service answers"
	fact "and continues to watch, a deletion arrives after $TOOK"
}

# The API server must have forgotten this version, or the scenario would prove nothing.
expect_gone() {
	kubectl get --raw "/api/v1/services?watch=true&resourceVersion=$1&timeoutSeconds=2" >"$STATE/gone" 2>&1 || true
	grep -Eq '"code":410|too old resource version|410' "$STATE/gone" || fail "version $1 is not forgotten: $(head -c 200 "$STATE/gone")"
	fact "version $1 answers 410"
}

scenario_token_rotated() {
	served token 2
	load_start load pod "$IP:80"
	# The account is created again: its old tokens are invalid from now on, and the watches break.
	kubectl -n kube-system delete serviceaccount sluice >/dev/null
	cp -p "$STATE/token" "$STATE/token.old"
	service_account_token
	await 30 token_refused "$STATE/token.old" || fail "the old token is still good"
	apiserver_killed
	apiserver_back
	follows token
	load_flawless load
}

token_refused() {
	[ "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$STATE/certs/apiserver.crt" -H "Authorization: Bearer $(cat "$1")" "$API_URL/api/v1/services")" = 401 ]
}

scenario_right_revoked() {
	local binding lines
	served rights 2
	load_start load pod "$IP:80"
	lines=$(wc -l <"$STATE/proxy.log")
	mapfile -t bindings < <(service_account_bindings)
	[ ${#bindings[@]} -gt 0 ] || fail "the account has no rights to revoke"
	kubectl get clusterrolebindings "${bindings[@]}" -o yaml >"$STATE/bindings.yaml"
	for binding in "${bindings[@]}"; do
		kubectl delete clusterrolebinding "$binding" >/dev/null
	done
	apiserver_killed
	apiserver_back
	await 60 complained "$lines" || fail "no line in the log that says what is forbidden"
	fact "says: $(tail -n "+$((lines + 1))" "$STATE/proxy.log" | grep -iE 'forbidden|403' | head -n 1 | cut -c 1-160)"
	await 10 answered pod "$IP:80" 2 || fail "stopped serving: $(answers pod "$IP:80")"
	alive proxy || fail "the proxy ended"
	sed -i '/resourceVersion:\|uid:/d' "$STATE/bindings.yaml"
	kubectl apply -f "$STATE/bindings.yaml" >/dev/null
	follows rights
	load_flawless load
}

complained() { tail -n "+$(($1 + 1))" "$STATE/proxy.log" | grep -qiE 'forbidden|403'; }

scenario_flood() {
	local count=${FLOOD:-10000} ip i sample=20
	served flood-backend 1
	load_start load pod "$IP:80"
	kubectl create namespace flood >/dev/null
	"$AGENT" flood --kubeconfig "$KUBECONFIG" --etcd "$ETCD_URL" -n "$count" --endpoint "${PODS[0]}" >"$STATE/flood" 2>&1 ||
		fail "could not create them: $(head -n 1 "$STATE/flood")"
	fact "$count Services created in $(cat "$STATE/flood") s"
	ip=$(kubectl -n flood get service "svc-$count" -o jsonpath='{.spec.clusterIP}')
	await 600 answered pod "$ip:80" 1 || fail "the last one does not answer: $(answers pod "$ip:80")"
	fact "the last one answers $TOOK later"
	for ((i = 1; i <= sample; i++)); do
		ip=$(kubectl -n flood get service "svc-$((count * i / sample))" -o jsonpath='{.spec.clusterIP}')
		await 60 answered pod "$ip:80" 1 || fail "svc-$((count * i / sample)) does not answer: $(answers pod "$ip:80")"
	done
	fact "$sample of them asked"
	load_flawless load
	kubectl delete namespace flood --wait=false >/dev/null
	await 600 unanswered pod "$ip:80" || fail "deleted, and still answers"
	fact "gone $TOOK after the namespace was deleted"
}

# The last one: the controllers and the agent take half a minute and more to come back from it.
scenario_apiserver_killed() {
	served lonely 3
	load_start load pod "$IP:80"
	load_start load-outside outside "$IP:80"
	apiserver_killed
	sleep "${API_DOWN:-60}"
	apiserver_back
	follows lonely
	load_flawless load
	load_flawless load-outside
	fact "${API_DOWN:-60} s without an API server"
}
