#!/usr/bin/env bash
# packages.sh LIST...: installs what is missing of the packages in these files, on Debian, as root.
# Nothing is missing: nothing happens, and no network is needed.
set -euo pipefail

mapfile -t wanted < <(grep -hv '^#' "$@")
command -v dpkg-query >/dev/null || { echo "no Debian: please see to these yourself: ${wanted[*]}"; exit 0; }
mapfile -t missing < <(printf '%s\n' "${wanted[@]}" | sort -u |
	comm -23 - <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u))
[ ${#missing[@]} -gt 0 ] || { echo "nothing is missing"; exit 0; }

echo "missing: ${missing[*]}"
[ "$(id -u)" = 0 ] || { echo "only root can install them: apt-get install ${missing[*]}" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -qq install -y --no-install-recommends --no-remove "${missing[@]}" </dev/null; }
install 2>/dev/null || { apt-get -qq update && install; }
