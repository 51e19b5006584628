/*
 * The daemon: one loop that runs the engine and everything around it until a
 * signal stops it.  Its rules stay in the kernel.
 */
#pragma once

struct options;
struct parts;

/* Runs until SIGTERM or SIGINT. 0, or -errno, logged, if it cannot start or continue. */
int daemon_run(struct options *options, const struct parts *parts);
