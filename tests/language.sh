#!/usr/bin/env bash
# language.sh [PATH...]: comments, messages, names, docs and scripts are in plain technical English.
# Prints each line that has one of the patterns below, with what to write instead.
#
#   tests/language.sh               the whole tree: no line may have one
#   tests/language.sh watchers/kube only these folders or files
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8

# One Perl expression a line, case ignored, then what to write. Parts of names in code count, too: is_told.
patterns='
(?<![a-z])(tell|tells|telling|told|untold)(?![a-z]) => log, report, return, notify, send, pass; "known by" for pods
(?<![a-z])(some|any)body(?![a-z]) => the process, the client, the caller
(?<![a-z"/=])(?<!user )(?<!uid )(?<!serviceaccount )nobody(?![a-z]) => no client, no caller, unused
(?<![a-z])who(so)?ever(?![a-z]) => the caller, the process that
(?<![a-z])strangers?(?![a-z]) => another process, an unknown client
\b(another|foreign) hand\b|\bhand other than\b => another process
(?<![a-z])anew(?![a-z]) => again, from scratch
(?<!there )\b(is|are|was|were) no (?!longer\b|more\b|different\b|worse\b|larger\b|smaller\b|slower\b|faster\b)[a-z] => is not a ..., invalid ...
\b(the|its|their) begin\b(?! *\() => the start
(?<![a-z])begun(?![a-z]) => started
(?<!all )(?<!many )(?<!much )(?<!both )(?<!several )(?<!more )(?<!few )(?<!any )\bat once\b|(?<=_)at_once(?![a-z]) => immediately; concurrently, in one go
\b(stays?|stayed|stands?|stood) (there|here)\b => remains, is written
\bbehind (it|them|what|which|their|its|len|at|the (closing|last|first|end|namespace|name|key|bytes|next)|a (key|comma|word)|[^a-z ]) => after
\b(goes|go|going|went|gone) on\b(?! (the|a|its|line)\b) => continues, keeps
\bfor good\b => permanently
(?<![a-z])mend(s|ed|ing)?(?![a-z]) => repair, fix
\bput(s|ting)? right\b => repaired, restored
\bmade up for\b => recovered
\bin the house\b => in use, kept
(?<![a-z])peace(?![a-z]) => no more changes
\b(hear|hears|heard|hearing) (of|from|again)\b => is notified, receives; unreachable, reachable
\b(comes?|came|coming) to nothing\b => has no effect
\bwithout a word\b => silently, without a log line
\b(nonsense|mak(e|es|ing) no sense|made no sense)\b => invalid
\bworth nothing\b|\bis no matter\b => invalid; harmless
\bof no use\b => useless, not needed
\bwhat(ever)? (is|was|were|are|has been|had been|will be) (there|around|told|learned|asked|known|wanted|put|seen|read|sent|refused|rejected|decided|kept|received|taken|pending|dirty|opened|programmed|planned|passed|requested|measured|written|watched|said|gone|new|old)\b => a noun: the listing, the known state, the refused element
(/\*|^ \*|^#|//) (?-i:What|Who|Whose) (?![^.*]*\?) => a noun in place of a clause: the cost of, shared by, the answer of
\bthose who\b => clients, endpoints, processes that
\bwhat (stays|goes|came|comes|seems|makes|stands|could|we (send|made|have|wanted|know)|others) => a noun
\bwho (asks?|asked|wants?|wanted|needs?|calls?|reads?|decides?|writes?|holds?|waits?|insists?|comes)\b => a noun: the client, the caller, the owner
(?<!_)\bnot? news\b|\bthat is no\b => unchanged; not a
'

folders=(core watchers rules bpf proxy docs deploy tests bench README.md CONTRIBUTING.md check demo .ci .github
	CMakeLists.txt CMakePresets.json)

# All lines with a pattern in these files and folders: "file:line: match => advice". Not what is generated, or foreign.
hits() {
	local line files
	mapfile -t files < <(for path; do [ ! -e "$path" ] || echo "$path"; done)
	while read -r line; do
		grep -rIHnoiP --exclude-dir={golden,corpus} --exclude={language.sh,go.sum} -e "${line%% => *}" -- "${files[@]}" |
			sed "s|\$| => ${line##* => }|" || true
	done < <(grep . <<<"$patterns") | sort -t: -k1,1 -k2,2n
}

[ $# -gt 0 ] || set -- "${folders[@]}"
found=$(hits "$@")
[ -z "$found" ] || { printf '%s\n' "$found"; exit 1; }
echo "plain"
