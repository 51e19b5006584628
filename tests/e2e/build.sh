#!/usr/bin/env bash
# Builds the real Kubernetes programs once a machine, and the test's own programs.
#
#   build.sh kube         prints the folder with etcd, kube-apiserver, kube-controller-manager, kube-proxy, kubectl
#   build.sh oracle       prints the path of that program; likewise agent, browser, measure, pages, twin
#   build.sh modules      only fetches what they are made of
#
# With several names it builds one after the other. Everything lands in ${XDG_CACHE_HOME:-~/.cache}/sluice, outside the
# checkout. The Kubernetes programs are kept by the hash of what they are made from: five to ten minutes the first time,
# nothing after that.
# Exit 77 when there is no Go that can build them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice

say() { echo "e2e: $*" >&2; }

need_go() {
	local have want
	want=$(awk '$1 == "go" { print $2 }' "$here/go.mod")
	have=$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || have=
	have=${have#go}
	if [ -z "$have" ] || [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" != "$want" ]; then
		say "needs Go $want or newer, this machine has ${have:-none}: skipped"
		exit 77
	fi
}

# go build and rename: a reader sees the old program or the new one, never half of it.
go_build() {
	local out=$1
	shift
	(cd "$here" && GOTOOLCHAIN=local nice go build -buildvcs=false -trimpath -o "$out.new.$$" "$@")
	mv "$out.new.$$" "$out"
}

build_kube() {
	local version key dir stamp name
	version=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 } $1 == "k8s.io/kubernetes" { print $2 }' "$here/go.mod" | head -n 1)
	key=$(cat "$here/go.mod" "$here/kube/main.go" | sha256sum | cut -c 1-16)
	dir=$cache/$key
	mkdir -p "$dir"
	exec 9>"$dir/lock"
	flock -n 9 || { say "another build of Kubernetes $version runs, waiting for it"; flock 9; }
	if [ ! -x "$dir/kubernetes" ]; then
		say "building Kubernetes $version into $dir (once a machine, five to ten minutes)"
		local started=$SECONDS
		(while sleep 30; do say "  still building, $((SECONDS - started)) s"; done) 9>&- &
		local ticker=$!
		stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1"
		stamp+=" -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version") -X k8s.io/component-base/version.gitTreeState=clean"
		local status=0
		go_build "$dir/kubernetes" -ldflags "-s -w $stamp" ./kube 9>&- || status=$?
		kill "$ticker" 2>/dev/null || true
		[ "$status" = 0 ] || { say "could not build Kubernetes"; exit "$status"; }
		say "built in $((SECONDS - started)) s, $(du -m "$dir/kubernetes" | cut -f1) MB"
	fi
	for name in etcd kube-apiserver kube-controller-manager kube-proxy kubectl; do
		[ -e "$dir/$name" ] || ln -sf kubernetes "$dir/$name"
	done
	exec 9>&-
	echo "$dir"
}

# Small programs of the test: go's own cache knows whether anything changed.
build_own() {
	local out=$cache/own/$1
	mkdir -p "$cache/own"
	go_build "$out" "./$1"
	echo "$out"
}

need_go
[ $# -gt 0 ] || set -- usage
for name; do
	case $name in
	kube) build_kube ;;
	modules) (cd "$here" && GOTOOLCHAIN=local go list -deps ./... >/dev/null) ;;
	agent | browser | measure | oracle | pages | twin) build_own "$name" ;;
	*) say "usage: build.sh modules|kube|agent|browser|measure|oracle|pages|twin..."; exit 2 ;;
	esac
done
