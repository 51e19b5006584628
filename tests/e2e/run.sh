#!/usr/bin/env bash
# Scenarios on a real cluster: what people do to Services, and what happens to clusters, with traffic on.
#
#   run.sh [SCENARIO...]     those, or all; run.sh -l lists them
#
#   PROXY=sluice|kube-proxy  which proxy is on the node; kube-proxy shows whether the scenarios themselves are right
#   SLUICE=PATH              the program, build/sluice otherwise
#   SLUICE_MODE=ebpf         its --proxy-mode, ebpf or userspace; nftables otherwise
#   API_DOWN=60              seconds without an API server
#   FLOOD=10000              Services created while watching
#   LOGS=DIR                 a folder for the logs of all programs; without it they go with the rest
#
# One line a scenario, "ok", "not ok" or "skip" with the measurements; exit 1 when one is not ok, 77 when none could run.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=cluster.sh
. "$E2E/cluster.sh"
# shellcheck source=net.sh
. "$E2E/net.sh"
# shellcheck source=proxy.sh
. "$E2E/proxy.sh"
# shellcheck source=scenario.sh
. "$E2E/scenario.sh"

mapfile -t ALL < <(sed -n 's/^scenario_\([a-z0-9_]*\)() {.*/\1/p' "$E2E"/scenarios/*.sh)
if [ "${1:-}" = -l ]; then
	printf '%s\n' "${ALL[@]}"
	exit 0
fi
need_proxy
in_own_world "$@"

for file in "$E2E"/scenarios/*.sh; do
	# shellcheck disable=SC1090
	. "$file"
done
[ $# -gt 0 ] || set -- "${ALL[@]}"

cluster_up
network_up 1
nodes_register
spawn kubelet "$AGENT" kubelet --kubeconfig "$KUBECONFIG" --nodes node-a=a=1,node-b=b=2
await 20 grep -q ready "$STATE/kubelet.log" || die "the agent does not start: $(cat "$STATE/kubelet.log")"
proxy_start
say "$PROXY on node-a, Kubernetes $(kubectl version -o json | grep -A20 serverVersion | sed -n 's/.*gitVersion": "\(.*\)".*/\1/p')"
status=0
run_scenarios "$@" || status=$?
[ -z "${LOGS:-}" ] || { mkdir -p "$LOGS" && cp "$STATE"/*.log "$LOGS"; }
exit "$status"
