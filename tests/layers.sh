#!/usr/bin/env bash
# Checks the arrows of includes: data goes from sources through core to sinks, and sources and sinks don't know each other.
# Prints each include that goes against the arrows.
set -euo pipefail
cd "$(dirname "$0")/.."

# folder: what its files may include
arrows='
core              core
watchers          core watchers
watchers/decode   core watchers watchers/decode
watchers/plan     core watchers watchers/plan
watchers/files    core watchers watchers/decode watchers/files
watchers/transfer core watchers/transfer
watchers/checks   core watchers watchers/plan watchers/transfer watchers/checks
watchers/kube     core watchers watchers/decode watchers/transfer watchers/kube
watchers/saved    core watchers watchers/decode watchers/saved
rules             core rules
rules/nft         core rules rules/nft
rules/conntrack   core rules rules/conntrack
rules/iptables    core rules rules/iptables
bpf               core bpf
proxy/relay       core proxy/relay
proxy/config      core watchers watchers/decode watchers/plan proxy/config
proxy/host        core watchers watchers/plan proxy/config proxy/host
proxy/engine      core watchers watchers/kube watchers/files watchers/decode watchers/plan watchers/checks watchers/saved proxy/config proxy/host proxy/engine
proxy/http        core watchers watchers/decode watchers/checks proxy/config proxy/host proxy/engine proxy/http
proxy/control     core watchers watchers/plan proxy/host proxy/engine proxy/control
proxy/run         core watchers watchers/kube proxy/config proxy/host proxy/engine proxy/http proxy/control proxy/run
proxy/commands    core watchers watchers/files watchers/decode watchers/plan proxy/config proxy/host proxy/engine proxy/control proxy/run proxy/commands
proxy             core rules/nft rules/conntrack rules/iptables bpf proxy/relay proxy/host proxy/config proxy/engine proxy/commands
'

# One line an include: "file:line folder-of-the-included". All are written from the top; one beside the
# file would hide where it goes.
includes() {
	awk -F'"' '/^[ \t]*#[ \t]*include[ \t]*"/ {
		folder = $2
		if (!sub("/[^/]*$", "", folder))
			folder = "."
		print FILENAME ":" FNR, folder
	}' "$@"
}

wrong=0
while read -r folder allowed; do
	files=("$folder"/*.[ch])
	[ -e "${files[0]}" ] || continue
	while read -r place target; do
		case " $allowed " in
		*" $target "*) ;;
		*)
			echo "$place: $folder/ may not include from $target/ (only from: $allowed)"
			wrong=$((wrong + 1))
			;;
		esac
	done < <(includes "${files[@]}")
done < <(grep . <<<"$arrows")

# A folder with sources that the table doesn't know would escape.
while read -r folder; do
	grep -q "^$folder " <<<"$arrows" || { echo "$folder/ is in no layer"; wrong=$((wrong + 1)); }
done < <(find core watchers rules bpf proxy -name '*.[ch]' -printf '%h\n' 2>/dev/null | sort -u)

[ "$wrong" = 0 ] || { echo "$wrong against the arrows"; exit 1; }
echo "all includes go along the arrows"
