/*
 * The effect of a sink's results on its next run, its log lines and its counters.
 */
#include "proxy/engine/sink_state.h"

#include <errno.h>
#include <string.h>

#include "core/log.h"
#include "core/service.h"
#include "core/sink.h"
#include "proxy/engine/sink_set.h"

#define REFUSED_LOG_MAX 20	  /* lines for a change set */
#define REPAIR_LINES	5	  /* lines about repairs in one go, */
#define REPAIR_LINE_US	60000000u /* and then one in this time, with their number */

static uint64_t now_us(const struct sink_state *s)
{
	return s->set->now_us(s->set->data);
}

void sink_state_init(struct sink_state *s, struct sink_set *set,
		     const struct backoff *backoff)
{
	*s = (struct sink_state){
		.set = set,
		.is_stale = true,
		.backoff = *backoff,
		.refused_backoff = *backoff,
		.repair_lines = {.burst = REPAIR_LINES, .interval_us = REPAIR_LINE_US},
	};
	refused_init(&s->refused);
}

void sink_state_fini(struct sink_state *s)
{
	refused_fini(&s->refused);
}

struct sink *sink_state_sink(const struct sink_state *s)
{
	return s->set->dataplane->sinks[s - s->set->states];
}

/* The sink that must be up to date first; NULL: none. */
static const struct sink_state *after_of(const struct sink_state *s)
{
	const struct dataplane *dp = s->set->dataplane;

	for (size_t i = 0; i < dp->n_sinks; i++)
		if (dp->sinks[i] == sink_state_sink(s)->after)
			return &s->set->states[i];
	return NULL;
}

bool sink_state_must_wait(const struct sink_state *s)
{
	const struct sink_state *after = after_of(s);

	return after && after->is_stale;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t sink_state_delay(const struct sink_state *s, uint64_t random)
{
	uint64_t now = now_us(s), delay_us = UINT64_MAX;

	if (sink_state_must_wait(s))
		return UINT64_MAX;
	if (s->is_stale)
		return backoff_delay(&s->backoff, now, random);
	if (s->is_changed)
		delay_us = repair_pacer_delay(&s->repair, now);
	if (refused_n(&s->refused))
		delay_us = min_u64(delay_us,
				   backoff_delay(&s->refused_backoff, now, random));
	return delay_us;
}

/* Logged when it starts to fail, not at each try. */
static void note_failure(struct sink_state *s, int err)
{
	const struct sink *sink = sink_state_sink(s);

	if (s->err != err)
		log_line(sink->is_vital ? LOG_LEVEL_ERR : LOG_LEVEL_WARN,
			 "%s: could not apply changes: %s; retrying with growing pauses, "
			 "up to %.0f s",
			 sink->ops->name, strerror(-err),
			 (double)s->backoff.max_us / 1e6);
	if (!s->err)
		s->failed_us = now_us(s);
	s->err = err;
	s->is_stale = true;
	s->n_failures++;
}

static void note_success(struct sink_state *s)
{
	if (s->err)
		log_info("%s: up to date again after %.1f s",
			 sink_state_sink(s)->ops->name,
			 (double)(now_us(s) - s->failed_us) / 1e6);
	s->err = 0;
}

static void log_repair(struct sink_state *s, const struct sink_repair *r)
{
	const struct sink_ops *ops = sink_state_sink(s)->ops;
	const struct log_fields fields = {.reason = "Repaired",
					  .duration_ms = (double)r->took_us / 1e3};
	size_t n_unlogged = log_limiter_suppressed(&s->repair_lines);

	if (!n_unlogged)
		log_line_with(LOG_LEVEL_WARN, &fields,
			      "%s: %s changed %s; checked and restored in %.1f ms%s%s",
			      ops->name, r->by, ops->made, fields.duration_ms,
			      *r->restored ? ": " : "", r->restored);
	else
		log_line_with(LOG_LEVEL_WARN, &fields,
			      "%s: %s keeps changing %s; checked and restored %zu times "
			      "since the last such line",
			      ops->name, r->by, ops->made, n_unlogged + 1);
}

void sink_state_note_repair(struct sink_state *s, uint64_t start_us)
{
	const struct sink *sink = sink_state_sink(s);
	const char *by = sink_changed_by(sink);
	uint64_t now = now_us(s);
	const struct sink_repair repair = {
		.by = by ? by : "another process",
		.restored = sink_restored(sink),
		.took_us = now - start_us,
	};

	s->n_repairs++;
	repair_pacer_ran(&s->repair, now);
	if (s->set->repaired)
		s->set->repaired(s->set->data, &repair);
	if (log_limiter_take(&s->repair_lines, 1, now))
		log_repair(s, &repair);
}

static void report_refused(const struct sink_state *s, const struct service *service,
			   const char *why)
{
	if (s->set->refused)
		s->set->refused(s->set->data, sink_state_sink(s), service, why);
}

static void on_refused(void *data, const struct service *service, const char *why)
{
	struct sink_state *s = data;
	char label[512];

	if (!refused_put(&s->refused, service, why))
		return;
	s->has_new_refused = true;
	s->n_refused++;
	report_refused(s, service, why ? why : "");
	if (why && s->n_logged++ < REFUSED_LOG_MAX)
		log_line_with(LOG_LEVEL_WARN,
			      &(struct log_fields){.service =
							   service_label(service, label,
									 sizeof(label)),
						   .family = family_name(service->family),
						   .reason = "Refused"},
			      "%s: service %s %s %s: %s; it is left out and retried",
			      sink_state_sink(s)->ops->name, label,
			      proto_name(service->proto), family_name(service->family),
			      why);
}

void sink_state_note_result(struct sink_state *s, int err)
{
	bool is_held = !err || err == -EREMOTEIO;

	if (is_held)
		note_success(s);
	else
		note_failure(s, err);
	backoff_ran(&s->backoff, now_us(s), !is_held);
}

void sink_state_settle_refused(struct sink_state *s, const struct changeset *cs)
{
	for (size_t i = 0; i < cs->n && refused_n(&s->refused); i++) {
		const struct change *c = &cs->changes[i];

		if (refused_settle(&s->refused, c->new ? c->new : c->old) && c->new)
			report_refused(s, c->new, NULL);
	}
}

void sink_state_pace_refused(struct sink_state *s)
{
	backoff_ran(&s->refused_backoff, now_us(s), refused_n(&s->refused) > 0);
}

int sink_state_apply(struct sink_state *s, const struct changeset *cs)
{
	struct changeset with_refuse = *cs;

	with_refuse.refuse = on_refused;
	with_refuse.data = s;
	s->has_new_refused = false;
	s->n_logged = 0;
	refused_start_round(&s->refused);
	return sink_apply(sink_state_sink(s), &with_refuse);
}
