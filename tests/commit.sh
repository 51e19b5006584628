#!/usr/bin/env bash
# The commit that `sluice version` prints is that of the repository at each build, and a build without a new commit writes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$(mktemp -d "${TMPDIR:-/tmp}/sluice-commit.XXXXXX")
trap 'rm -rf "$root"' EXIT
failed=0
in_repository() { git -C "$root/repository" -c user.name=test -c user.email=test@example.com "$@"; }

# expect WHAT COMMIT FOLDER [GIVEN]: what a build of FOLDER writes
expect() {
	cmake -DSOURCE="$root/$3" -DCOMMIT="${4:-}" -DOUTPUT="$root/commit.c" -P proxy/commit.cmake
	grep -qxF "const char sluice_commit[] = \"$2\";" "$root/commit.c" ||
		{ echo "$1: not $2 but $(grep sluice_commit "$root/commit.c")"; failed=1; }
}
written() { stat -c %y "$root/commit.c"; }

mkdir -p "$root/repository/tarball"
in_repository init -q
in_repository commit -q --allow-empty -m first
expect "in a repository" "$(in_repository rev-parse --short=12 HEAD)" repository
before=$(written)
expect "built again" "$(in_repository rev-parse --short=12 HEAD)" repository
[ "$before" = "$(written)" ] || { echo "the same commit is written again"; failed=1; }
in_repository commit -q --allow-empty -m second
expect "after a commit" "$(in_repository rev-parse --short=12 HEAD)" repository
in_repository worktree add -q "$root/worktree"
expect "in another worktree" "$(in_repository rev-parse --short=12 HEAD)" worktree
expect "in a tarball" unknown repository/tarball
expect "with -DSLUICE_COMMIT" abcdef012345 repository abcdef012345
[ "$failed" = 0 ] && echo "the commit is that of each build"
