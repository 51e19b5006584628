/*
 * `sluice run --once`: programs the kernel and ends.  The rules stay.
 */
#pragma once

struct config;
struct parts;

/* Prints one summary line on stdout. 0, or -errno, logged. */
int once_run(const struct config *config, const struct parts *parts);
