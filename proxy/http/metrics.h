/*
 * The metrics for Prometheus: each metric of kube-proxy that has a meaning here,
 * under its own name and buckets, so that dashboards and alerts keep working,
 * and ours under sluice_.  This module counts the sync's runs; the caller passes
 * all other values for each scrape.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"
#include "proxy/engine/source.h"
#include "proxy/engine/sync.h"

struct checker;
struct counts;
struct current;
struct environment;
struct metrics;
struct sink_set;
struct state;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* A run of the sync has ended at now_us (Unix time). */
void metrics_ran(struct metrics *m, const struct sync_run *run, int64_t now_us);
/* An answer of /healthz (is_livez false) or /livez. */
void metrics_health_answered(struct metrics *m, bool is_livez, int status);
/* A call to the API server ended; status 0: no answer. */
void metrics_api_answered(struct metrics *m, int status, const char *method);

/* How many services get series of their own; further ones are only counted. */
#define METRICS_MAX_SERVICES 1000

struct metrics_input {
	int64_t now_us; /* Unix time */
	const char *mode, *version, *commit;
	const struct sync_stats *sync;
	size_t n_pending, n_rejected, n_missing;
	const struct state *state;
	const struct sink_set *sinks;  /* NULL: none */
	const struct source_api *api;  /* NULL: without a server */
	const struct checker *checker; /* of endpoints */
	bool family_used[FAMILY_N];
	bool with_services; /* series for each service */
	bool is_in_sync;
	struct counts *counts; /* NULL: not known; read for the services with series */
	const struct environment *env; /* with counts */
	const struct current *current; /* connections; NULL: not known */
};

void metrics_write(struct metrics *m, const struct metrics_input *in, struct buf *out);
