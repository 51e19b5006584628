#include "proxy/engine/conflict_log.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/state.h"

#define MAX_LINES   10		      /* in one update */
#define BURST	    5		      /* updates that are logged together, */
#define INTERVAL_US (60 * 1000000ull) /* and then one in this time */

static void log_conflict(const struct state_conflict *c)
{
	char place[ADDR_PORT_TEXT_LEN], holder[512], waiting[512];

	log_line_with(LOG_LEVEL_WARN,
		      &(struct log_fields){.service = service_label(c->waiting, waiting,
								    sizeof(waiting)),
					   .family = family_name(c->waiting->family),
					   .reason = "Claim"},
		      "%s/%s is claimed by %s and %s; the first one keeps it",
		      frontend_format_place(&c->frontend, place),
		      proto_name(c->waiting->proto),
		      service_label(c->holder, holder, sizeof(holder)), waiting);
}

static uint64_t claim_hash(const struct state_conflict *c)
{
	return hash_mix(hash_mix(service_hash_key(c->waiting),
				 hash_bytes(&c->frontend.addr, sizeof(c->frontend.addr))),
			c->frontend.port);
}

static int compare_hashes(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_known(const struct conflict_log *log, uint64_t hash)
{
	return log->n_known &&
	       bsearch(&hash, log->known, log->n_known, sizeof(hash), compare_hashes);
}

/* Moves the new ones to the front, and returns how many. */
static size_t take_new(struct conflict_log *log, struct state_conflict *conflicts,
		       size_t n)
{
	uint64_t *hashes = xcalloc(n + 1, sizeof(*hashes));
	size_t n_new = 0;

	for (size_t i = 0; i < n; i++) {
		hashes[i] = claim_hash(&conflicts[i]);
		if (!is_known(log, hashes[i]))
			conflicts[n_new++] = conflicts[i];
	}
	qsort(hashes, n, sizeof(*hashes), compare_hashes);
	free(log->known);
	log->known = hashes;
	log->n_known = n;
	return n_new;
}

static void log_new(struct conflict_log *log, const struct state_conflict *new, size_t n)
{
	log->limiter.burst = BURST;
	log->limiter.interval_us = INTERVAL_US;
	if (!log_limiter_take(&log->limiter, 1, clock_monotonic_us()))
		return;
	if (log->n_known == 0)
		log_info("no address and port is claimed by two Services any more");
	for (size_t i = 0; i < n && i < MAX_LINES; i++)
		log_conflict(&new[i]);
	if (n > MAX_LINES)
		log_warn("and %zu more claims wait; see sluice explain", n - MAX_LINES);
}

void conflict_log_update(struct conflict_log *log, const struct state *state)
{
	_cleanup_(freep) struct state_conflict *conflicts = NULL;
	size_t n, n_new, n_before = log->n_known;

	if (state_conflicts_version(state) == log->version)
		return;
	log->version = state_conflicts_version(state);
	conflicts = state_conflicts(state, &n);
	n_new = take_new(log, conflicts, n);
	if (n_new > 0 || (n == 0 && n_before > 0))
		log_new(log, conflicts, n_new);
	for (size_t i = 0; log->found && i < n_new; i++)
		log->found(log->data, &conflicts[i]);
}

void conflict_log_fini(struct conflict_log *log)
{
	free(log->known);
	*log = (struct conflict_log){0};
}
