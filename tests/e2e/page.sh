#!/usr/bin/env bash
# The page for people in a headless Chromium, against a running daemon with 10000 Services: it loads, filters, sorts, follows
# changes, fits a phone, is dark and light, and sends requests to its server only. The world has loopback only.
#
#   page.sh                  SLUICE=PATH is the program, build/sluice otherwise
#
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=proxy.sh
. "$E2E/proxy.sh"

need_proxy
NEED=browser in_own_world "$@"
command -v chromium >/dev/null || skip_all "no chromium"

URL=http://127.0.0.1:10249/
N=9999 # and one more during the test

# services FROM N: with one endpoint each
services() {
	seq "$1" $(($1 + $2 - 1)) | awk '{
		printf "apiVersion: v1\nkind: Service\nmetadata: {name: svc-%05d}\n", $1
		printf "spec: {clusterIP: 10.96.%d.%d, ports: [{name: http, port: 80}]}\n---\n", $1 / 250, $1 % 250 + 1
		printf "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: svc-%05d-1, labels: {kubernetes.io/service-name: svc-%05d}}\n", $1, $1
		printf "addressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.244.%d.%d]}]\n---\n", $1 / 250, $1 % 250 + 1
	}'
}

mkdir -p "$STATE/manifests" "$STATE/profile"
services 0 $N >"$STATE/manifests/all.yaml"
services $N 1 | sed "s/svc-0*$N/added/g" >"$STATE/added"
spawn proxy "$SLUICE" run --manifests "$STATE/manifests" --proxy-mode nftables --bpffs-root "$STATE/bpf" \
	--cluster-cidr 10.244.0.0/16 --control-socket "$STATE/proxy.sock"
await 30 curl -fsS http://127.0.0.1:10256/healthz || die "sluice does not start: $(tail -n 5 "$STATE/proxy.log")"
took=$(curl -fsS -o /dev/null -w '%{size_download} bytes in %{time_total} s' "${URL}services.json")
say "the page's data for $N Services: $took"
TMPDIR=$STATE "$BROWSER" check "$URL" "$STATE/profile" $N "$STATE/added" "$STATE/manifests/added.yaml"
reap proxy
