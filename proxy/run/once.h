/*
 * `sluice run --once`: programs the kernel and is done.  What it made stays.
 */
#pragma once

struct config;
struct parts;

/* Prints one summary line on stdout; 0, or -errno, told. */
int once_run(const struct config *config, const struct parts *parts);
