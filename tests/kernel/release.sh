#!/bin/sh
# release.sh TEST PROGRAM: runs a kernel test with that release build; without one it is skipped.
[ -x "$2" ] || { echo "no release build at $2: cmake --preset release && cmake --build --preset release"; exit 77; }
SLUICE_PROGRAM=$2 exec "$1"
