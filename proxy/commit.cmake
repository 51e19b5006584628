# Run at each build: writes OUTPUT, the source of proxy/config/commit.h, if the commit is another than that in it.
# COMMIT is the value of -DSLUICE_COMMIT, empty without; SOURCE is the folder of the sources.
if(NOT COMMIT)
	# Not the commit of another repository that has a tarball's folder in it.
	execute_process(COMMAND git --git-dir=${SOURCE}/.git rev-parse --short=12 HEAD
		OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
	if(NOT status EQUAL 0)
		set(COMMIT unknown)
	endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
#include "proxy/config/commit.h"

const char sluice_commit[] = "@COMMIT@";
]])
