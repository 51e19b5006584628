/*
 * The commit that the program was built from, or "unknown" where the sources are not in
 * a git repository.  proxy/commit.cmake writes the source file at each build.
 */
#pragma once

extern const char sluice_commit[];
