# shellcheck shell=bash
# Parts of scenarios: which backend answers, Services and Deployments to ask, results. To be sourced.

PASSED=0 FAILED=0 SKIPPED=0
FACTS=()

# fact TEXT: something measured, for the scenario's line.
fact() { FACTS+=("$*"); }

# fail TEXT / skip TEXT: ends the scenario.
fail() { echo "$*" >"$STATE/verdict"; exit 1; }
skip() { echo "$*" >"$STATE/verdict"; exit 77; }

run_scenarios() {
	local name status started
	for name; do
		started=$SECONDS
		status=0
		: >"$STATE/facts"
		: >"$STATE/verdict"
		declare -F "scenario_$name" >/dev/null || die "no scenario $name"
		alive proxy || proxy_start
		# In a shell of its own, so that one that fails ends there; what it did to processes comes back through files.
		set +e
		(
			set -e
			trap 'printf "%s\n" "${FACTS[@]}" >"$STATE/facts"; scenario_end' EXIT
			"scenario_$name"
		)
		status=$?
		set -e
		adopt
		report "$name" "$status" $((SECONDS - started))
	done
	echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	[ "$FAILED" = 0 ]
}

report() {
	local facts verdict
	facts=$(paste -sd ';' "$STATE/facts" | sed 's/;/; /g')
	verdict=$(cat "$STATE/verdict")
	case $2 in
	0) PASSED=$((PASSED + 1)); echo "ok $1: $facts ($3 s)" ;;
	77) SKIPPED=$((SKIPPED + 1)); echo "skip $1: $verdict" ;;
	*)
		FAILED=$((FAILED + 1))
		echo "not ok $1: ${verdict:-stopped at an error}${facts:+; before that: $facts} ($3 s)"
		tail -n "${LOG_LINES:-5}" "$STATE/proxy.log" | sed 's/^/    proxy: /'
		;;
	esac
}

# A scenario that ended and started processes again leaves their numbers here.
scenario_end() {
	local name
	for name in "${!PIDS[@]}"; do
		echo "$name ${PIDS[$name]}"
	done >"$STATE/pids"
	kubectl delete services,endpointslices,deployments,replicasets -l e2e --wait=false >/dev/null 2>&1 || true
	kubectl delete pods -l e2e --wait=false >/dev/null 2>&1 || true
}

adopt() {
	local name pid
	while read -r name pid; do
		PIDS[$name]=$pid
	done <"$STATE/pids"
}

# answers NS TARGET [PROTOCOL] [COUNT]: one line, the backends that answered, and failures as !WHY=COUNT.
answers() { in_ns "$1" "$AGENT" hits -protocol "${3:-tcp}" -n "${4:-60}" -timeout 500ms "$2"; }

# Checks for await. answered NS TARGET N: exactly N backends answer, and nothing fails. refused, unheard, unanswered likewise.
answered() {
	local line
	line=$(answers "$1" "$2" "${4:-tcp}" $(($3 * 12 + 10)))
	[[ $line != *!* ]] && [ "$(wc -w <<<"$line")" = "$3" ]
}
refused() { [ "$(answers "$1" "$2" "${3:-tcp}" 5)" = " !refused=5" ]; }
unanswered() { [[ $(answers "$1" "$2" "${3:-tcp}" 5) == " !"* ]]; }
# answered_by NS TARGET NAMES: exactly these, in order.
answered_by() { [ "$(answers "$1" "$2")" = "$3" ]; }

# deployment NAME REPLICAS
deployment() {
	kubectl create deployment "$1" --image none --replicas "$2" --port 8080 --dry-run=client -o json |
		sed 's/"labels": {/"labels": {"e2e": "",/' | kubectl create -f - >/dev/null
	await 180 pods_ready "$1" "$2" || fail "the Pods of $1 do not come up"
}

pods_ready() {
	local ready
	ready=$(kubectl get pods -l "app=$1" -o go-template='{{range .items}}{{if not .metadata.deletionTimestamp}}{{range .status.conditions}}{{if eq .type "Ready"}}{{.status}} {{end}}{{end}}{{end}}{{end}}' | grep -o True | wc -l)
	[ "$ready" = "$2" ]
}

# expose NAME [ARGUMENTS OF KUBECTL EXPOSE]
expose() { kubectl expose deployment "$1" --port 80 --target-port 8080 -l e2e= "${@:2}" >/dev/null; }

cluster_ip() { kubectl get service "$1" -o jsonpath='{.spec.clusterIP}'; }
node_port() { kubectl get service "$1" -o jsonpath='{.spec.ports[0].nodePort}'; }
pod_names() { kubectl get pods -l "app=$1" --field-selector "${2:-status.phase=Running}" -o jsonpath='{.items[*].metadata.name}' | tr ' ' '\n' | sort | xargs; }
pod_ips() { kubectl get pods -l "app=$1" -o jsonpath='{.items[*].status.podIP}'; }

# by_hand SERVICE PORT ADDRESS...: a Service without a selector and its slice; each ADDRESS may carry =ZONE as its hint.
by_hand() {
	local name=$1 port=$2 item endpoints=
	shift 2
	for item; do
		endpoints+="{addresses: [\"${item%%=*}\"], conditions: {ready: true}"
		[[ $item != *=* ]] || endpoints+=", hints: {forZones: [{name: ${item#*=}}]}"
		endpoints+="}, "
	done
	kubectl apply -f - >/dev/null <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: $name, labels: {e2e: ""}}
		spec: {ports: [{port: 80}]}
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: $name-by-hand, labels: {e2e: "", kubernetes.io/service-name: $name}}
		addressType: IPv4
		ports: [{name: "", port: $port, protocol: TCP}]
		endpoints: [$endpoints]
	END
	echo "$name-by-hand"
}

# load_start NAME NS TARGET; load_end NAME prints "REQUESTS FAILED BACKENDS" and what failed first.
load_start() {
	: >"$STATE/$1.log"
	local -a COMMAND
	ns_command "$2"
	spawn "$1" "${COMMAND[@]}" "$AGENT" load "$3"
}
load_end() {
	reap "$1"
	cat "$STATE/$1.log"
}

# load_flawless NAME: ends that load; fails when one of its requests did.
load_flawless() {
	load_end "$1" >"$STATE/load"
	local requests failed backends
	read -r requests failed backends <"$STATE/load"
	[ "$requests" -gt 50 ] || fail "only $requests requests were made"
	[ "$failed" = 0 ] || fail "$failed of $requests requests failed, the first: $(sed -n 2p "$STATE/load")"
	fact "$requests requests over $backends Pods, 0 failed"
}
