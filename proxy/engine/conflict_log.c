#include "proxy/engine/conflict_log.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
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

void conflict_log_update(struct conflict_log *log, const struct state *state)
{
	_cleanup_(freep) struct state_conflict *conflicts = NULL;
	size_t n = state_n_conflicts(state);

	if (n == log->n)
		return;
	log->n = n;
	log->limiter.burst = BURST;
	log->limiter.interval_us = INTERVAL_US;
	if (!log_limiter_take(&log->limiter, 1, clock_monotonic_us()))
		return;
	if (n == 0) {
		log_info("no address and port is claimed by two Services any more");
		return;
	}
	conflicts = state_conflicts(state, &n);
	for (size_t i = 0; i < n && i < MAX_LINES; i++)
		log_conflict(&conflicts[i]);
	if (n > MAX_LINES)
		log_warn("and %zu more claims wait; see sluice explain", n - MAX_LINES);
}
