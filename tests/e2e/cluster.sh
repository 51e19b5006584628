#!/usr/bin/env bash
# A real control plane: etcd, kube-apiserver, kube-controller-manager, in a world of its own.
#
#   cluster.sh up            starts one and prints its folder, with admin.kubeconfig and the logs
#   cluster.sh exec DIR ...  runs a command in its world
#   cluster.sh down DIR      ends it; nothing is left
#
# Other scripts source this file for cluster_up and its friends, inside a world that they made (lib.sh).
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

API_ADDRESS=172.31.0.1
API_URL=https://$API_ADDRESS:6443
ETCD_URL=http://127.0.0.1:2379

cluster_up() {
	ip address add "$API_ADDRESS/32" dev lo
	ip route replace default dev lo # the API server looks for one when it guesses addresses
	mkdir -p "$STATE/certs"
	openssl genrsa -out "$STATE/sa.key" 2048 2>/dev/null
	ADMIN_TOKEN=$(openssl rand -hex 16)
	(umask 077 && echo "$ADMIN_TOKEN,admin,admin,\"system:masters\"" >"$STATE/tokens.csv")
	etcd_start
	apiserver_start
	manager_start
	service_account
}

etcd_start() {
	spawn etcd "$ETCD" --data-dir "$STATE/etcd" --unsafe-no-fsync --name e2e --log-level warn \
		--listen-client-urls "$ETCD_URL" --advertise-client-urls "$ETCD_URL" \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster e2e=http://127.0.0.1:2380
	await 30 curl -fsS "$ETCD_URL/health" || die "etcd does not start: $(tail -n 3 "$STATE/etcd.log")"
}

port_is_free() { [ -z "$(ss -Hltn "sport = :$1")" ]; }

# The requests of the proxy's account, one line a request in audit.log.
audit_policy() {
	cat >"$STATE/audit.yaml" <<-END
		apiVersion: audit.k8s.io/v1
		kind: Policy
		omitStages: [RequestReceived]
		rules:
		- {level: Metadata, users: ["system:serviceaccount:kube-system:sluice"], verbs: [list, watch]}
		- {level: None}
	END
}

# apiserver_start [ARGUMENT...]
apiserver_start() {
	await 30 port_is_free 6443 || die "another process listens on port 6443: $(ss -Hltnp 'sport = :6443')"
	audit_policy
	spawn apiserver kube-apiserver "$@" --audit-policy-file "$STATE/audit.yaml" --audit-log-path "$STATE/audit.log" \
		--etcd-servers "$ETCD_URL" --bind-address "$API_ADDRESS" --advertise-address "$API_ADDRESS" \
		--secure-port 6443 --cert-dir "$STATE/certs" \
		--service-account-key-file "$STATE/sa.key" --service-account-signing-key-file "$STATE/sa.key" \
		--service-account-issuer "$API_URL" --token-auth-file "$STATE/tokens.csv" --authorization-mode RBAC --allow-privileged \
		--service-cluster-ip-range 10.96.0.0/12,fd00:96::/112 --disable-admission-plugins ServiceAccount
	await 60 test -s "$STATE/certs/apiserver.crt" || die "the API server makes no certificate: $(tail -n 3 "$STATE/apiserver.log")"
	[ -s "$KUBECONFIG" ] || kubeconfig admin "token: $ADMIN_TOKEN"
	await 60 kubectl get --raw /readyz || die "the API server does not start: $(tail -n 3 "$STATE/apiserver.log")"
	# It makes these itself, a moment after it is ready.
	await 30 kubectl get namespace default kube-system || die "no namespaces"
}

manager_start() {
	spawn manager kube-controller-manager --kubeconfig "$KUBECONFIG" --leader-elect=false --secure-port 0 \
		--controllers deployment-controller,replicaset-controller,endpointslice-controller,endpointslice-mirroring-controller,endpoints-controller,namespace-controller
}

# kubeconfig NAME "USER-FIELD": writes NAME.kubeconfig, for the owner only.
kubeconfig() {
	(umask 077 && cat >"$STATE/$1.kubeconfig") <<-END
		apiVersion: v1
		kind: Config
		current-context: e2e
		contexts: [{name: e2e, context: {cluster: e2e, user: $1}}]
		clusters: [{name: e2e, cluster: {server: "$API_URL", certificate-authority: "$STATE/certs/apiserver.crt"}}]
		users: [{name: $1, user: {$2}}]
	END
}

# The account that the proxy runs as, with the rights that the project's own manifest gives it.
service_account() {
	kubectl apply --dry-run=server -f "$PROJECT/deploy/kube-proxy-replacement-ebpf.yaml" >/dev/null
	kubectl apply -f "$PROJECT/deploy/kube-proxy-replacement.yaml" >/dev/null
	service_account_token
	kubeconfig sluice "tokenFile: \"$STATE/token\""
}

service_account_token() {
	kubectl -n kube-system get serviceaccount sluice >/dev/null 2>&1 || kubectl -n kube-system create serviceaccount sluice >/dev/null
	(umask 077 && kubectl -n kube-system create token sluice --duration 24h >"$STATE/token.new")
	mv "$STATE/token.new" "$STATE/token"
}

# Every right of the account hangs on these bindings.
service_account_bindings() {
	kubectl get clusterrolebindings -o go-template='{{range .items}}{{$name := .metadata.name}}{{range .subjects}}{{if and (eq .kind "ServiceAccount") (eq .name "sluice")}}{{$name}}{{"\n"}}{{end}}{{end}}{{end}}'
}

# Drops all older versions, so that a watch from an older resource version gets 410.
etcd_compact() {
	local revision
	revision=$(curl -fsS "$ETCD_URL/v3/kv/range" -d '{"key":"AA=="}' | grep -o '"revision":"[0-9]*"' | grep -o '[0-9]*')
	curl -fsS "$ETCD_URL/v3/kv/compaction" -d "{\"revision\":\"$revision\",\"physical\":true}" >/dev/null
	echo "$revision"
}

hold() {
	in_own_world hold
	cluster_up
	touch "$STATE/up"
	sleep infinity
}

main() {
	case ${1:-} in
	up)
		STATE=$(mktemp -d "${TMPDIR:-/tmp}/sluice-cluster-XXXXXX")
		export STATE
		setsid "$0" hold >"$STATE/log" 2>&1 </dev/null &
		echo $! >"$STATE/pid"
		await 1200 test -e "$STATE/up" -o ! -d "/proc/$(cat "$STATE/pid")"
		[ -e "$STATE/up" ] || { cat "$STATE/log" >&2; rm -r "$STATE"; die "did not come up"; }
		echo "$STATE"
		;;
	exec)
		local dir=$2 world
		shift 2
		world=$(pgrep -P "$(pgrep -P "$(cat "$dir/pid")" unshare)")
		PATH=$("$E2E/build.sh" kube):$PATH KUBECONFIG=$dir/admin.kubeconfig nsenter -t "$world" -n -m -p -- "$@"
		;;
	down)
		kill "$(cat "$2/pid")" 2>/dev/null || true
		await 10 test ! -d "/proc/$(cat "$2/pid")" || die "does not end"
		rm -r "$2"
		;;
	hold) hold ;;
	*) die "usage: cluster.sh up | exec DIR COMMAND... | down DIR" ;;
	esac
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	main "$@"
fi
