#!/usr/bin/env bash
# Durations are measured with the monotonic clock: the wall clock jumps. Prints each use of the wall clock that has no
# reason below.
set -euo pipefail
cd "$(dirname "$0")/.."

# clock_wall_us() is for what has a date of its own
reasons='
watchers/cluster_kinds.c             the change times in the annotations of objects
watchers/files/files_scan.c    the age of a file, by its modification time
watchers/kube/credentials.c    when a credential expires
watchers/kube/events.c         the time in an event
watchers/kube/informer.c       a time in /metrics
proxy/commands/command_status.c  the age of a date in the answer
proxy/commands/get_columns.c   the age of a date in the answer
proxy/engine/engine_saved.c    a date in the answer of status
proxy/engine/journal.c         the dates of changes
proxy/engine/saver.c           the date in the file of the last known objects
proxy/engine/status.c          dates in the answer
proxy/engine/engine.c          the change times in the annotations of objects
proxy/http/servers.c           times in /healthz, /statusz and /metrics
'
folders=(core watchers rules bpf proxy)
failed=0
found() { # FILE:LINE:TEXT...
	echo "$1: a duration? use clock_monotonic_us(); a date? see tests/clocks.sh"
	failed=1
}

while IFS= read -r line; do
	case ${line%%:*} in
	core/clock.h | core/log.c | proxy/engine/sync.[ch]) ;; # the definition, log times, the clock of tests
	*) found "$line" ;;
	esac
done < <(grep -rnE --include='*.[ch]' '\b(time|gettimeofday|ev_time|ev_now)\(|CLOCK_REALTIME|ev_periodic' "${folders[@]}" |
	grep -vE '^[^:]+:[0-9]+:(/\*| \*|[^"]*//)')
while IFS= read -r line; do
	grep -qE "^${line%%:*} " <<<"$reasons" || found "$line"
done < <(grep -rn --include='*.[ch]' 'clock_wall_us()' "${folders[@]}")
exit $failed
