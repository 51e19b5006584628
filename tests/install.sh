#!/usr/bin/env bash
# install.sh BUILD: what is installed from that folder fits together, and so does the image.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$(mktemp -d "${TMPDIR:-/tmp}/sluice-install.XXXXXX")
trap 'rm -rf "$root"' EXIT
failed=0
expect() { # WHAT COMMAND...
	local what=$1
	shift
	"$@" || { echo "$what"; failed=1; }
}

DESTDIR=$root cmake --install "$1" >/dev/null
unit=$root$(sed -n 's/^CMAKE_INSTALL_PREFIX:[A-Z]*=//p' "$1/CMakeCache.txt")/lib/systemd/system/sluice.service
value() { sed -n "s/^$1=//p" "$unit"; } # of a setting
read -r program _ <<<"$(value ExecStart)"
manifests=$(value ExecStart | sed -n 's/.*--manifests \/etc\/\([^ ]*\).*/\1/p')
expect "the unit starts $program, which is not installed" test -x "$root$program"
expect "the unit does not make the folder of manifests, /etc/$manifests" \
	grep -qw -- "$manifests" <<<"$(value ConfigurationDirectory | tr ' ' '\n')"
expect "systemd would stop to start the unit after a few failures" test "$(value StartLimitIntervalSec)" = 0
expect "systemd would end the first sync of the unit" test "$(value TimeoutStartSec)" = infinity

# The image: kubeadm's DaemonSet runs /usr/local/bin/kube-proxy.
image_program=$(sed -n 's/^ENTRYPOINT \["\(.*\)"\]$/\1/p' deploy/Dockerfile)
expect "the image does not install $image_program" \
	grep -q " /image$image_program " <<<"$(grep 'install ' deploy/Dockerfile)"
expect "the image has no /usr/local/bin/kube-proxy" \
	grep -q "ln -s $image_program /image/usr/local/bin/kube-proxy" deploy/Dockerfile
ln -s "$root$program" "$root/kube-proxy"
expect "the program does not take the name of kube-proxy" grep -q '^sluice ' <("$root/kube-proxy" --version)
[ "$failed" = 0 ] && echo "$(find "$root" -type f | wc -l) files are installed"
