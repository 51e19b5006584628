/*
 * How this node's traffic is handled: sinks, in the order in which they receive
 * changes.  main.c names the concrete ones; the rest of the daemon knows them
 * by core/sink.h only.
 */
#pragma once

#include <stddef.h>

#include "core/sink.h"

#define DATAPLANE_MAX_SINKS 8

struct dataplane {
	const char *mode; /* "nftables" */
	struct sink *sinks[DATAPLANE_MAX_SINKS];
	size_t n_sinks;
	/* From a daemon that runs: its lock and its ports are free once it was relieved. */
	bool is_taking_over;
};

/* Takes a sink, which receives changes last. */
void dataplane_add(struct dataplane *dp, struct sink *sink);
/* The vital sink that receives changes last, or NULL. */
struct sink *dataplane_last_vital(const struct dataplane *dp);
/* The process that made the last change to what a sink made: "nft (pid 7)", or "another process". */
const char *dataplane_changed_by(const struct dataplane *dp);
/* The objects that the last repair restored; "": not known. */
const char *dataplane_restored(const struct dataplane *dp);
/* Closes the sinks, last one first. */
void dataplane_close(struct dataplane *dp);
