#!/usr/bin/env bash
# Failures between sluice and real API servers: each is logged as one clear line that says where and
# what to do, and then the program ends or tries again as docs/sluice.8 says.
#
#   errors.sh                SLUICE=PATH is the program, build/sluice otherwise
#
# One line a case, "ok" or "not ok" with the logged line; exit 1 when one is not ok.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=cluster.sh
. "$E2E/cluster.sh"
# shellcheck source=proxy.sh
. "$E2E/proxy.sh"

need_proxy
NEED=' ' in_own_world "$@" # none of the tests' programs

OWN=127.0.0.1:7443 # a server of the test's, with a certificate that has expired
FAILED=0 PASSED=0

# An authority of the test's own, and a server certificate of it that ended yesterday.
own_certificates() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$STATE/ca.key" -out "$STATE/ca.crt" -subj /CN=another -days 10
	openssl req -newkey rsa:2048 -nodes -keyout "$STATE/expired.key" -out "$STATE/expired.csr" -subj /CN=expired
	echo "subjectAltName=IP:127.0.0.1" >"$STATE/names"
	openssl x509 -req -in "$STATE/expired.csr" -CA "$STATE/ca.crt" -CAkey "$STATE/ca.key" -CAcreateserial -days -1 \
		-extfile "$STATE/names" -out "$STATE/expired.crt"
}

# config NAME SERVER CA USER-FIELD: a kubeconfig in $STATE.
config() {
	(umask 077 && cat >"$STATE/$1.kubeconfig") <<-END
		apiVersion: v1
		kind: Config
		current-context: e2e
		contexts: [{name: e2e, context: {cluster: e2e, user: tester}}]
		clusters: [{name: e2e, cluster: {server: "$2", certificate-authority: "$3"}}]
		users: [{name: tester, user: {$4}}]
	END
}

begin() {
	spawn "$1" "$SLUICE" run --kubeconfig "$STATE/$1.kubeconfig" --hostname-override node-a --proxy-mode nftables \
		--conntrack-max-per-core 0 --bpffs-root "$STATE/bpf" --control-socket "$STATE/$1.sock" --state-dir ""
}

# Lines of the log that a person has to act on.
complaints() { grep -E ' (error|warn) ' "$STATE/$1.log" || true; }

verdict() {
	local name=$1 problem=$2
	if [ -z "$problem" ]; then
		PASSED=$((PASSED + 1))
		echo "ok $name: $(complaints "$name" | cut -d' ' -f2-)"
	else
		FAILED=$((FAILED + 1))
		echo "not ok $name: $problem"
		sed 's/^/    /' "$STATE/$name.log"
	fi
}

# says NAME WORDS...: exactly one complaint, with all of these words in it.
says() {
	local name=$1 word lines
	shift
	lines=$(complaints "$name" | wc -l)
	[ "$lines" = 1 ] || { echo "$lines lines of complaint, wanted 1"; return; }
	for word; do
		complaints "$name" | grep -qF -- "$word" || { echo "does not say \"$word\""; return; }
	done
}

# ends NAME WORDS...: status 1 immediately, and one line.
ends() {
	local name=$1 status=0 problem
	shift
	timeout 10 "$SLUICE" run --kubeconfig "$STATE/$name.kubeconfig" --hostname-override node-a --proxy-mode nftables \
		--bpffs-root "$STATE/bpf" --control-socket "$STATE/$name.sock" --state-dir "" >"$STATE/$name.log" 2>&1 </dev/null || status=$?
	problem=$(says "$name" "$@")
	[ "$status" = 1 ] || problem="exit status $status, wanted 1"
	verdict "$name" "$problem"
}

has_complained() { [ -n "$(complaints "$1")" ]; }
has_recovered() { grep -q ' ready: ' "$STATE/$1.log"; }
is_at_work() { in_table "$(nft list tables)"; }
in_table() { [[ $1 == *sluice* ]]; }

# silence: the value of the metric, in whole seconds; empty when it is missing.
silence() { curl -fsS http://127.0.0.1:10249/metrics | sed -n 's/^sluice_api_silent_seconds \([0-9]*\).*/\1/p'; }
is_heard_of() { [ "$(silence)" = 0 ]; }
healthz() { curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:10256/livez; }

# retries NAME CURE WORDS...: one line, and the program retries; after CURE it is ready.
retries() {
	local name=$1 cure=$2 problem=
	shift 2
	begin "$name"
	await 40 has_complained "$name" || problem="says nothing"
	sleep 3 # long enough for the second and the third attempt
	[ -n "$problem" ] || problem=$(says "$name" "$@")
	alive "$name" || problem="it ended"
	! has_recovered "$name" || problem="it is ready, which cannot be"
	[ "$(silence)" -ge 2 ] || problem="sluice_api_silent_seconds is $(silence)"
	[ "$(healthz)" = 200 ] || problem="/livez is $(healthz)"
	! is_at_work || problem="it has programmed something without knowing everything"
	if [ -z "$problem" ] && [ "$cure" != none ]; then
		"$cure" >/dev/null 2>&1
		await 90 has_recovered "$name" || problem="it does not recover"
		[ -n "$problem" ] || await 5 grep -q 'reachable again after' "$STATE/$name.log" || problem="does not say that it is over"
		await 10 is_heard_of || problem="sluice_api_silent_seconds is $(silence) after recovery"
	fi
	reap "$name"
	nft delete table ip sluice 2>/dev/null || true
	nft delete table ip6 sluice 2>/dev/null || true
	verdict "$name" "$problem"
}

allow() { kubectl create clusterrolebinding errors --clusterrole sluice --serviceaccount default:outsider; }
trust_the_right_one() { cp "$ca" "$STATE/wrong-ca.crt"; }
become_known() { cp "$STATE/token" "$STATE/unauthorized.token"; }
come_back() { apiserver_start; }

cluster_up
own_certificates 2>/dev/null
kubectl create serviceaccount outsider >/dev/null
kubectl get clusterrole sluice >/dev/null 2>&1 || kubectl create clusterrole sluice --verb list,watch \
	--resource services,nodes,endpointslices.discovery.k8s.io,servicecidrs.networking.k8s.io >/dev/null

echo "== wrong kubeconfig: the program ends"
ca=$STATE/certs/apiserver.crt
ends missing "$STATE/missing.kubeconfig: No such file or directory"
printf 'clusters: [{name: a\nusers: }' >"$STATE/no-yaml.kubeconfig"
ends no-yaml "$STATE/no-yaml.kubeconfig: line 2"
sed 's/current-context: e2e/current-context: gone/' "$KUBECONFIG" >"$STATE/no-context.kubeconfig"
ends no-context "$STATE/no-context.kubeconfig: contexts" '"gone"'
config auth-provider "$API_URL" "$ca" "auth-provider: {name: gcp}"
ends auth-provider "$STATE/auth-provider.kubeconfig: users.user.auth-provider" "use exec instead"
config no-ca "$API_URL" /nowhere/ca.crt "token: x"
ends no-ca "$STATE/no-ca.kubeconfig: certificate-authority: /nowhere/ca.crt: No such file or directory"
config no-token "$API_URL" "$ca" "tokenFile: /nowhere/token"
ends no-token "$STATE/no-token.kubeconfig: tokenFile: /nowhere/token: No such file or directory"

echo "== everything else: it is tried again"
config forbidden "$API_URL" "$ca" "token: $(kubectl create token outsider)"
retries forbidden allow "$API_URL" "HTTP 403" "system:serviceaccount:default:outsider" "services, endpointslices, nodes and servicecidrs" \
	"give the account of $STATE/forbidden.kubeconfig the ClusterRole"
echo invalid >"$STATE/unauthorized.token"
config unauthorized "$API_URL" "$ca" "tokenFile: $STATE/unauthorized.token"
retries unauthorized become_known "$API_URL" "HTTP 401" "check the credentials in $STATE/unauthorized.kubeconfig"
cp "$STATE/ca.crt" "$STATE/wrong-ca.crt"
config wrong-ca "$API_URL" "$STATE/wrong-ca.crt" "tokenFile: $STATE/token"
retries wrong-ca trust_the_right_one "$API_URL" "certificate" "check server, certificate-authority" "$STATE/wrong-ca.kubeconfig"
spawn expired-server openssl s_server -accept "$OWN" -cert "$STATE/expired.crt" -key "$STATE/expired.key" -www -quiet
await 5 bash -c "</dev/tcp/${OWN/:/\/}" || die "openssl s_server does not start"
config expired "https://$OWN" "$STATE/ca.crt" "tokenFile: $STATE/token"
retries expired none "https://$OWN" "certificate has expired" "renew its certificate" "$STATE/expired.kubeconfig"
reap apiserver
config unreachable "$API_URL" "$ca" "tokenFile: $STATE/token"
retries unreachable come_back "$API_URL" "connect" "check that the API server runs" "$STATE/unreachable.kubeconfig"
config no-plugin "$API_URL" "$ca" "exec: {command: /nowhere/plugin, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}"
retries no-plugin none "credential plugin /nowhere/plugin" "No such file or directory"

echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
