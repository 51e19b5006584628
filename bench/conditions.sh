# The machine and its load, and --help, for the scripts of this folder; sourced.
# shellcheck shell=sh

# Prints the comment that the script begins with.
bench_help() {
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1" | sed '/^shellcheck /d'
	exit 0
}

# Printed before and after, this shows whether other processes loaded the machine.
bench_load() {
	printf 'load        %s %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)" "$1"
}

# bench_conditions SLUICE
bench_conditions() {
	printf 'date        %s\n' "$(date -u '+%Y-%m-%d %H:%M UTC')"
	printf 'cpu         %s x %s\n' "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	printf 'memory      %s\n' "$(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
	printf 'kernel      %s\n' "$(uname -r)"
	printf 'nft         %s\n' "$(nft --version)"
	printf 'sluice      %s\n' "$("$1" version | head -n 1)"
	printf 'build       %s\n' "$(sed -n 's/^CMAKE_BUILD_TYPE:STRING=//p' "$(dirname "$1")/CMakeCache.txt" 2>/dev/null)"
	bench_load before
}
