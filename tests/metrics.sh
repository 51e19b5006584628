#!/usr/bin/env bash
# metrics.sh: docs/METRICS.md names the metrics of the program, all of them and no others; and the rules and the dashboard
# of deploy/monitoring use no others.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

served() { grep -rhoE '"(sluice|kubeproxy|process|rest_client)_[a-z0-9_]+"' --include='*.c' proxy rules bpf | tr -d '"' | sort -u; }
documented() { sed -nE 's/^\| `([a-z0-9_]+)` \|.*/\1/p' docs/METRICS.md | sort; }

[ "$(served | wc -l)" -gt 20 ] || { echo "no metrics found in the sources"; exit 1; }
used() { grep -hoE '\b(sluice|kubeproxy|process|rest_client)_[a-z0-9_]+' deploy/monitoring/* | sed -E 's/_(bucket|count|sum)$//' | sort -u; }

diff <(served) <(documented) || { echo "docs/METRICS.md (>) and the sources (<) differ"; exit 1; }
unknown=$(comm -23 <(used) <(documented))
[ -z "$unknown" ] || { echo "deploy/monitoring uses unknown metrics: $unknown"; exit 1; }
echo "documented"
