#include "proxy/engine/conflict_log.h"

#include "core/cleanup.h"
#include "core/log.h"
#include "core/state.h"

#define MAX_LINES 10 /* at a time */

static void tell(const struct state_conflict *c)
{
	char place[ADDR_PORT_TEXT_LEN], holder[512], waiting[512];

	log_warn("%s/%s is claimed twice: %s has it, %s waits for it",
		 addr_port_format(&c->frontend.addr, c->frontend.port, place),
		 proto_name(c->waiting->proto),
		 service_label(c->holder, holder, sizeof(holder)),
		 service_label(c->waiting, waiting, sizeof(waiting)));
}

void conflict_log_update(struct conflict_log *log, const struct state *state)
{
	_cleanup_(freep) struct state_conflict *conflicts = NULL;
	size_t n = state_n_conflicts(state);

	if (n == log->n_told)
		return;
	log->n_told = n;
	if (n == 0) {
		log_info("no two Services claim the same address and port any more");
		return;
	}
	conflicts = state_conflicts(state, &n);
	for (size_t i = 0; i < n && i < MAX_LINES; i++)
		tell(&conflicts[i]);
	if (n > MAX_LINES)
		log_warn("and %zu more claims wait; see sluice explain", n - MAX_LINES);
}
