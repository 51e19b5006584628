#!/usr/bin/env bash
# The alerts of deploy/monitoring in a real Prometheus that scrapes daemons of sluice, each on a node of its own: none fires
# while all is well, and each one fires for its incident. The rules are used with shorter times and lower limits.
#
#   alerts.sh                  SLUICE=PATH is the program, build/sluice otherwise
#
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=proxy.sh
. "$E2E/proxy.sh"

need_proxy
NEED=prometheus in_own_world "$@"

RULES=$PROJECT/deploy/monitoring/rules.yaml
URL=http://127.0.0.1:9090
# The nodes: of nftables, userspace, with an API server, of ebpf.
declare -A NUMBER=([n]=1 [u]=2 [k]=3 [e]=4)

# node NAME: 10.99.NUMBER.2, reached from 10.99.NUMBER.1
node() {
	local at=10.99.${NUMBER[$1]}
	ip netns add "$1"
	ip link add "to-$1" type veth peer name eth0 netns "$1"
	ip addr add "$at.1/24" dev "to-$1"
	ip link set "to-$1" up
	ip -n "$1" addr add "$at.2/24" dev eth0
	ip -n "$1" link set eth0 up
	ip -n "$1" link set lo up
	ip -n "$1" route add default via "$at.1"
}

in_ns() { ip netns exec "$@"; }

# daemon NAME FLAGS...: on that node
daemon() {
	local name=$1
	shift
	spawn "$name" ip netns exec "$name" "$SLUICE" run --proxy-mode nftables --bpffs-root "$STATE/bpf-$name" --hostname-override "$name" \
		--cluster-cidr 10.244.0.0/16 --metrics-bind-address 0.0.0.0:10249 --control-socket "$STATE/$name.sock" --state-dir '' "$@"
	await 30 curl -fsS "http://10.99.${NUMBER[$name]}.2:10249/metrics" || die "$name does not start: $(tail -n 5 "$STATE/$name.log")"
}

# put NODE NAME ADDRESS PORT [TRIGGER]: a Service with affinity, whose endpoint is the daemon's metrics server
put() {
	cat >"$STATE/new" <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: $2}
		spec: {clusterIP: $3, sessionAffinity: ClientIP, ports: [{name: http, port: $4}]}
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: $2-x, labels: {kubernetes.io/service-name: $2}, annotations: {${5:+endpoints.kubernetes.io/last-change-trigger-time: "$5"}}}
		addressType: IPv4
		ports: [{name: http, port: 10249}]
		endpoints: [{addresses: [10.99.${NUMBER[$1]}.2]}]
	END
	mv "$STATE/new" "$STATE/$1/$2.yaml"
}

# asked QUERY: the labels of what it selects
asked() { curl -fsS "$URL/api/v1/query" --data-urlencode "query=$1"; }
# The names of the alerts that have fired.
fired() { { asked 'last_over_time(ALERTS{alertstate="firing"}[5m])' | grep -oE '"alertname":"[A-Za-z]+"' | cut -d'"' -f4 | sort -u; } || true; }
fires() { asked "ALERTS{alertname=\"$1\",alertstate=\"firing\"}" | grep -q '"metric"'; }
scraped() { [ "$(asked 'count_over_time(up{job="sluice"}[1m]) > 5' | grep -o '"instance"' | wc -l)" = ${#nodes[@]} ]; }

status=0
expected=()
# await_alerts NAME...
await_alerts() {
	local name
	for name; do
		expected+=("$name")
		if await 20 fires "$name"; then
			echo "ok $name: fires ($TOOK)"
		else
			echo "not ok $name: does not fire"
			status=1
		fi
	done
}

# change NODE NAME SED-SCRIPT: of that manifest
change() { sed -i "$3" "$STATE/$1/$2.yaml"; }
# While it runs, other programs cannot change the table.
take_table() {
	# shellcheck disable=SC2016 # for the inner shell
	spawn owner ip netns exec n bash -c '(echo "delete table ip sluice; add table ip sluice { flags owner; }"; sleep 60) | nft -i'
}

mkdir -p "$STATE/n" "$STATE/u"
for name in "${!NUMBER[@]}"; do node "$name"; done
put n web 10.96.0.10 80
put n gone 10.96.0.11 80
mv "$STATE/n/gone.yaml" "$STATE/gone.yaml"
put u web 10.96.0.10 80
daemon n --manifests "$STATE/n" --manifests "$STATE/gone.yaml"
daemon u --manifests "$STATE/u" --proxy-mode userspace
start=$(date +%s)
nodes=(n u)
if [ -e "$CGROUP/cgroup.procs" ]; then
	mkdir -p "$CGROUP/gone" "$STATE/bpf"
	mount -t bpf e2e "$STATE/bpf"
	daemon e --manifests "$STATE/u" --proxy-mode ebpf --bpffs-root "$STATE/bpf" --cgroup-root "$CGROUP/gone"
	nodes+=(e)
fi

sed -E 's/for: .*/for: 2s/; s/> 120$/> 1/; s/0\.9 \* 1048576/0/; s/\[10m\]/[1m]/' "$RULES" >"$STATE/rules.yaml"
targets() { for name; do echo "- targets: ['10.99.${NUMBER[$name]}.2:10249']"; done; }
targets "${nodes[@]}" >"$STATE/targets.yaml"
cat >"$STATE/prometheus.yaml" <<END
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: ['$STATE/rules.yaml']
scrape_configs:
  - job_name: sluice
    file_sd_configs: [{files: ['$STATE/targets.yaml']}]
END
spawn prometheus "$PROMETHEUS" --config.file="$STATE/prometheus.yaml" --storage.tsdb.path="$STATE/tsdb" --web.listen-address=127.0.0.1:9090
await 30 scraped || die "Prometheus does not scrape: $(tail -n 5 "$STATE/prometheus.log")"
names=$(fired)
if [ -z "$names" ]; then
	echo "ok healthy: no alert fires"
else
	echo "not ok healthy: " $names
	status=1
fi

# A node without its API server.
daemon k --master http://127.0.0.1:1
targets "${nodes[@]}" k >"$STATE/targets.new" && mv "$STATE/targets.new" "$STATE/targets.yaml"
# Two Services with one address, one without endpoints, a port that is not a number, a manifest that is gone.
put n other 10.96.0.10 80
put n empty 10.96.0.20 80
change n empty '/^---$/,$d'
put n broken 10.96.0.21 80
change n broken 's/port: 10249/port: 0/'
rm "$STATE/gone.yaml"
# An endpoint that was ready long ago, and reaches this node now.
sleep "$((start + 7 > $(date +%s) ? start + 7 - $(date +%s) : 0))"
put n late 10.96.0.22 80 "$(date -u -d "@$((start + 1))" +%Y-%m-%dT%H:%M:%SZ)"
# A port that another program listens at.
ip -n u addr add 10.96.0.23/32 dev lo
spawn theirs ip netns exec u openssl s_server -accept 10.96.0.23:80 -nocert -cipher aNULL -quiet
await 10 in_ns u bash -c "</dev/tcp/10.96.0.23/80"
put u taken 10.96.0.23 80
# A client with affinity; the gauge is of the last full sync, to which a change by another program leads.
in_ns n curl -fsS -o "$STATE/page" http://10.96.0.10/metrics || die "the Service does not answer"
in_ns n nft add chain ip sluice theirs
names=(SluiceApiSilent SluiceOutOfSync SluiceClaimsWaiting ServiceWithoutEndpoints SluiceObjectsIgnored SluiceManifestsMissing
	SluiceSlowProgramming SluiceServiceRefused SluiceForeignChanges SluiceAffinityFull)
if [ ${#nodes[@]} = 3 ]; then
	rmdir "$CGROUP/gone"
	names+=(SluiceEbpfDetached)
else
	echo "# no cgroup v2 on this machine: no eBPF, and SluiceEbpfDetached is not tried"
fi
await_alerts "${names[@]}"
take_table
await_alerts SluiceSinkFails
reap u KILL
await_alerts SluiceDown

all=$(grep -oE 'alert: [A-Za-z]+' "$RULES" | cut -d' ' -f2 | sort)
[ ${#nodes[@]} = 3 ] || all=$(grep -v SluiceEbpfDetached <<<"$all")
if [ "$all" = "$(printf '%s\n' "${expected[@]}" | sort)" ]; then
	echo "ok all: each alert of the rules has its incident"
else
	echo "not ok all: alerts without an incident here"
	status=1
fi
exit $status
