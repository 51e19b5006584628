/*
 * The daemon: one loop that runs the engine and all around it until it is told
 * to stop.  What it made stays in the kernel.
 */
#pragma once

struct options;
struct parts;

/* Runs until SIGTERM or SIGINT; 0, or -errno, told, when it could not start or go on. */
int daemon_run(struct options *options, const struct parts *parts);
