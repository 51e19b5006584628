#!/usr/bin/env bash
# leftovers.sh RUN FOLDER: fails when something is left of tests that were started with E2E_RUN=RUN and TMPDIR=FOLDER:
# a process, a file, a cgroup, or a leg of their networks in this one.
set -uo pipefail
left=0

report() {
	echo "left behind: $*" >&2
	left=1
}

for environ in /proc/[0-9]*/environ; do
	grep -qzx "E2E_RUN=$1" "$environ" 2>/dev/null || continue
	report "process $(basename "${environ%/environ}"): $(tr '\0' ' ' <"${environ%environ}cmdline")"
done
while read -r file; do
	report "$file"
done < <(find "$2" -mindepth 1 -maxdepth 1)
for device in api1 api2; do
	[ ! -e "/sys/class/net/$device" ] || report "network device $device"
done
while read -r cgroup; do
	[ -d "/proc/${cgroup##*-}" ] || report "cgroup $cgroup"
done < <(findmnt -rno TARGET -t cgroup2 | xargs -r -I MOUNT find MOUNT -maxdepth 1 -name 'sluice-e2e-*')
exit "$left"
