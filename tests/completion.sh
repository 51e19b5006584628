#!/usr/bin/env bash
# completion.sh PROGRAM: what a shell offers after some words, for each shell that is installed.
set -euo pipefail
program=$1
failed=0

expect() {
	[ "$2" = "$3" ] && return
	echo "$1: offered \"$2\", expected \"$3\""
	failed=1
}

# offered WORD...: the last one is being completed.
offered() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_sluice
	printf '%s ' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
}

# shellcheck disable=SC1090
source <("$program" completion bash)
expect bash "$(offered sluice st)" 'status '
expect bash "$(offered sluice get s)" 'services '
expect bash "$(offered sluice get services --sort)" '--sort-by '
expect bash "$(offered sluice explain --fr)" '--from '
expect bash "$(offered sluice plan --manif)" '--manifests '
expect bash "$(offered sluice get --manif)" ' '
if command -v zsh >/dev/null; then
	expect zsh "$("$program" completion zsh | zsh -f -c 'autoload -U compinit && compinit -u -d /dev/null; source /dev/stdin; echo $+functions[_sluice]')" 1
fi
if command -v fish >/dev/null; then
	expect fish "$("$program" completion fish | fish --no-config -c 'source; complete -C "sluice st" | cut -f 1')" status
fi
[ $failed = 0 ] && echo "completed"
exit $failed
