/*
 * How this node's traffic is handled: the sinks in the order in which they are
 * told, and what else their kernel side can do for us.  main.c builds one; the
 * rest of the daemon knows no other name for it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/sink.h"

struct nft_count;

#define DATAPLANE_MAX_SINKS 8

struct dataplane {
	const char *mode; /* "nftables" */
	struct sink *sinks[DATAPLANE_MAX_SINKS];
	size_t n_sinks;

	/* All of these are about sinks[0], and may be NULL. */

	/* Readable when somebody changed what we made; drain answers whether it was a stranger. */
	int (*fd)(const struct sink *sink);
	bool (*drain)(struct sink *sink);
	/* Connections by frontend and endpoint. */
	int (*counts)(struct sink *sink,
		      void (*fn)(void *data, const struct nft_count *count), void *data);
	/* A line for each difference between what is and what should be. */
	int (*diff)(struct sink *sink, const struct changeset *full,
		    struct buf *ret_lines, size_t *ret_n);
};

/* Closes the sinks, last one first. */
void dataplane_close(struct dataplane *dp);
