#!/bin/sh
# Writes everything here that is kept for comparison anew, from what the program prints now.
# Look at the difference before committing it: these files are what a change is measured by.
#
#	tests/golden/regenerate.sh [PROGRAM]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=${1:-$here/../../build/sluice}

"$here/plan/check.sh" "$program" --write
