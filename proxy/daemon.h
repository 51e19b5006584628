/*
 * The daemon: one loop that runs source, host addresses, sync and control
 * socket until it is told to stop.  What it made stays in the kernel.
 */
#pragma once

#include <stdbool.h>

struct config;
struct options;
struct parts;

/* Runs until SIGTERM or SIGINT; 0, or -errno, told, when it could not start or go on. */
int daemon_run(struct options *options, const struct parts *parts);

/* Programs the kernel once, prints one summary line on stdout. */
int daemon_once(const struct config *config, const struct parts *parts);
