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
#include "rules/nft/nft.h"
#include "rules/conntrack/stale_flows.h"

#define DATAPLANE_MAX_SINKS 8

struct dataplane {
	const char *mode; /* "nftables" */
	struct sink *sinks[DATAPLANE_MAX_SINKS];
	size_t n_sinks;

	/* All of these are about sinks[0], and may be NULL. */

	/* Readable when somebody changed what we made; drain answers whether it was a stranger. */
	int (*fd)(const struct sink *sink);
	bool (*drain)(struct sink *sink);
	/* Connections of these services by frontend, and by endpoint if asked for. */
	int (*counts)(struct sink *sink, const struct changeset *of, bool with_endpoints,
		      void (*fn)(void *data, const struct nft_count *count), void *data);
	/* The differences between what is and what should be. */
	struct nft_diff *(*diff)(struct sink *sink, const struct changeset *full);
	struct nft_stats (*nft_stats)(const struct sink *sink);

	/* The sink that forgets flows, one of sinks[]; both NULL without conntrack. */
	const struct sink *flows;
	struct stale_flows_stats (*flow_stats)(const struct sink *sink);
};

/* One more sink, told last; takes it. */
void dataplane_add(struct dataplane *dp, struct sink *sink);
/* Closes the sinks, last one first. */
void dataplane_close(struct dataplane *dp);
