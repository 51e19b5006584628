#!/usr/bin/env bash
# The arguments that kubeadm gives kube-proxy start sluice unchanged, and the HTTP pages are those of kube-proxy:
# health and metrics servers, compared with the real one on the same API server.
#
#   http.sh                  SLUICE=PATH is the program, build/sluice otherwise
#
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=cluster.sh
. "$E2E/cluster.sh"
# shellcheck source=net.sh
. "$E2E/net.sh"
# shellcheck source=proxy.sh
. "$E2E/proxy.sh"

need_proxy
NEED="pages promtool" in_own_world "$@"

# The files of a Pod of kubeadm's DaemonSet: the ConfigMap's two files, the service account, the program by its name.
kubeadm_files() {
	local account=/var/run/secrets/kubernetes.io/serviceaccount
	mkdir -p $account
	cp "$STATE/token" $account/token
	cp "$STATE/certs/apiserver.crt" $account/ca.crt
	mount -t tmpfs e2e /var/lib
	mkdir -p /var/lib/kube-proxy
	sed "s,@SERVER@,$API_URL," "$E2E/kubeadm/kubeconfig.conf" >/var/lib/kube-proxy/kubeconfig.conf
	cp "$E2E/kubeadm/config.conf" /var/lib/kube-proxy/config.conf
	# In nftables mode, the one that both have; kube-proxy can't set the machine's limits from a network namespace.
	sed 's/^mode: ""/mode: nftables/; s/maxPerCore: null/maxPerCore: 0/' "$E2E/kubeadm/config.conf" >/var/lib/kube-proxy/nftables.conf
	mkdir -p "$STATE/bin"
	ln -s "$(realpath "$SLUICE")" "$STATE/bin/kube-proxy"
}

# start NAME NAMESPACE PROGRAM CONFIG: with kubeadm's command line.
start() {
	local NODE_NAME=node-a
	spawn "$1" ip netns exec "$2" "$3" --config="/var/lib/kube-proxy/$4" --hostname-override="$NODE_NAME"
	await 60 in_ns "$2" curl -fsS http://127.0.0.1:10256/healthz || die "$1 does not start: $(tail -n 5 "$STATE/$1.log")"
}

has_synced() {
	in_ns "$1" curl -fsS http://127.0.0.1:10249/metrics >"$STATE/$1.metrics" &&
		grep -q '^kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} [1-9]' "$STATE/$1.metrics"
}

# The same things happen to both: a Service, an endpoint changed, and a flow's end.
stir() {
	local round
	for round in 1 2; do
		kubectl apply -f - >/dev/null <<-END
			apiVersion: v1
			kind: Service
			metadata: {name: stir}
			spec: {type: NodePort, externalTrafficPolicy: Local, ports: [{name: t, port: 80}, {name: u, port: 53, protocol: UDP}]}
			---
			apiVersion: discovery.k8s.io/v1
			kind: EndpointSlice
			metadata:
			  name: stir
			  labels: {kubernetes.io/service-name: stir}
			  annotations: {endpoints.kubernetes.io/last-change-trigger-time: "$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)"}
			addressType: IPv4
			ports: [{name: t, port: 80, protocol: TCP}, {name: u, port: 53, protocol: UDP}]
			endpoints: [{addresses: [10.244.2.$round], nodeName: node-b, conditions: {ready: true}}]
		END
		sleep 2 # kube-proxy's shortest time between two syncs, twice
	done
}

cluster_up
nodes_register
network_up 1 k
network_up 2 s
kubeadm_files

start verbatim sa "$STATE/bin/kube-proxy" config.conf
await 30 has_synced sa || die "kubeadm's own configuration: nothing is programmed: $(tail -n 5 "$STATE/verbatim.log")"
echo "ok kubeadm: its ConfigMap and its command line start sluice: $(grep -c . "$STATE/verbatim.log") lines in the log, mode $(in_ns sa curl -fsS http://127.0.0.1:10249/proxyMode)"
status=0
readyz=$(in_ns sa curl -sS -w ' %{http_code}' http://127.0.0.1:10256/readyz)
if [ "$readyz" = "ok 200" ]; then
	echo "ok readyz: 200"
else
	echo "not ok readyz: $readyz"
	status=1
fi
reap verbatim

start theirs ka kube-proxy nftables.conf
start ours sa "$STATE/bin/kube-proxy" nftables.conf
await 30 has_synced ka
await 30 has_synced sa
stir
in_ns ka "$PAGES" ask "$STATE/theirs.json"
in_ns sa "$PAGES" ask "$STATE/ours.json"
if "$PAGES" compare "$STATE/theirs.json" "$STATE/ours.json"; then
	echo "ok pages: as kube-proxy's"
else
	echo "not ok pages"
	status=1
fi
if remarks=$(in_ns sa curl -fsS http://127.0.0.1:10249/metrics | "$PROMTOOL" check metrics 2>&1) && [ -z "$remarks" ]; then
	echo "ok promtool: check metrics is clean"
else
	echo "not ok promtool:"
	printf '%s\n' "$remarks"
	status=1
fi

if "$PROMTOOL" check rules "$PROJECT/deploy/monitoring/rules.yaml" && "$PROMTOOL" test rules "$PROJECT/tests/monitoring/rules_test.yaml"; then
	echo "ok promtool: each alert fires for its cause, and none on a healthy node"
else
	echo "not ok promtool: rules"
	status=1
fi

# Events: that both have started, and that both find a health check node port taken. Two fields are not compared: sluice
# fills in the uid that kubectl describe node looks for, and in the instance it says the node's name, not the host's.
lines_of() {
	kubectl get events.events.k8s.io -A -o go-template='{{range .items}}{{.reason}} {{.action}} {{.type}} {{.metadata.namespace}} {{.regarding.kind}} {{.regarding.namespace}} {{.regarding.name}} {{.reportingController}}{{"\n"}}{{end}}' |
		grep -E '^(Starting|FailedToStart)' | sort | uniq -c | sed 's/^ *//'
}
both_report() {
	lines_of >"$STATE/events"
	[ "$(wc -l <"$STATE/events")" = 2 ] && [ "$(grep -c '^2 ' "$STATE/events")" = 2 ]
}
kubectl delete events.events.k8s.io -n default --field-selector reason=Starting >/dev/null
reap theirs
reap ours
for ns in ka sa; do
	spawn "$ns-taken" ip netns exec "$ns" openssl s_server -accept 30999 -nocert -cipher aNULL -quiet
done
start theirs ka kube-proxy nftables.conf
start ours sa "$STATE/bin/kube-proxy" nftables.conf
kubectl apply -f - >/dev/null <<-END
	apiVersion: v1
	kind: Service
	metadata: {name: checked}
	spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30999, ports: [{port: 80}]}
END
if await 60 both_report; then
	echo "ok events: the same of both"
else
	echo "not ok events: not the same of both"
	status=1
fi
sed 's/^/    /' "$STATE/events"
exit $status
