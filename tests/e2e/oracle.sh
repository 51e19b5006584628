#!/usr/bin/env bash
# Compares what `sluice plan` decides with what kube-proxy's own code decides.
#
#   oracle.sh [CLUSTERS [SEED]]    by default 500 random clusters from seed 1; SLUICE=PATH is the program
#
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=proxy.sh
. "$E2E/proxy.sh"

need_proxy
oracle=$("$E2E/build.sh" oracle) || exit $?
exec nice "$oracle" compare -sluice "$SLUICE" -clusters "${1:-500}" -seed "${2:-1}"
