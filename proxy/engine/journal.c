#include "proxy/engine/journal.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/log_limiter.h"
#include "core/mem.h"
#include "core/sink.h"
#include "core/state.h"
#include "proxy/engine/sink_state.h"
#include "watchers/causes.h"
#include "watchers/checks/checker.h"

#define LOG_BURST	20
#define LOG_INTERVAL_US 1000000

static const char *const names[JOURNAL_WHAT_N] = {
	[JOURNAL_STARTED] = "Started",
	[JOURNAL_REPAIRED] = "Repaired",
	[JOURNAL_SERVICE_ADDED] = "ServiceAdded",
	[JOURNAL_SERVICE_REMOVED] = "ServiceRemoved",
	[JOURNAL_FRONTENDS_ADDED] = "FrontendsAdded",
	[JOURNAL_FRONTENDS_REMOVED] = "FrontendsRemoved",
	[JOURNAL_ENDPOINTS_ADDED] = "EndpointsAdded",
	[JOURNAL_ENDPOINTS_REMOVED] = "EndpointsRemoved",
	[JOURNAL_ENDPOINTS_CHANGED] = "EndpointsChanged",
	[JOURNAL_NO_ENDPOINTS] = "NoEndpoints",
	[JOURNAL_HAS_ENDPOINTS] = "HasEndpoints",
	[JOURNAL_POLICY_CHANGED] = "PolicyChanged",
	[JOURNAL_ENDPOINT_DOWN] = "EndpointDown",
	[JOURNAL_ENDPOINT_UP] = "EndpointUp",
	[JOURNAL_CLAIM_WAITS] = "ClaimWaits",
	[JOURNAL_REFUSED] = "Refused",
	[JOURNAL_SERVED_AGAIN] = "ServedAgain",
};

struct entry {
	int64_t at_us;		 /* Unix time */
	struct service *service; /* a reference; NULL: of all */
	enum journal_what what;
	char *detail;
	struct cause *cause; /* a reference; NULL: unknown */
	uint64_t took_us;    /* since the cause */
};

struct journal {
	struct sink sink;
	struct causes *causes;
	struct hash known; /* the services as last reported; references */
	bool has_started, logs_all;
	bool (*is_refused)(const void *data, const struct service *s); /* NULL: none is */
	const void *is_refused_data;
	struct entry *ring; /* grows to JOURNAL_LEN */
	size_t cap;
	uint64_t n; /* entries ever; number k is in ring[(k - 1) % JOURNAL_LEN] */
	struct log_limiter limiter;
};

struct writing {
	struct journal *journal;
	const struct service *service;
};

static uint64_t service_hash(const void *key)
{
	return service_hash_key(key);
}

static bool is_same_service(const void *item, const void *key)
{
	return service_same_key(item, key);
}

static const void *itself(const void *item)
{
	return item;
}

static const struct hash_ops known_ops = {service_hash, is_same_service, itself};

static void entry_fini(struct entry *e)
{
	service_unref(e->service);
	free(e->detail);
	cause_unref(e->cause);
}

/* The place of the oldest entry, once there are JOURNAL_LEN. */
static struct entry *next_entry(struct journal *j)
{
	struct entry *e;

	if (j->n < JOURNAL_LEN)
		j->ring = xgrow(j->ring, j->n, &j->cap, sizeof(*j->ring));
	e = &j->ring[j->n % JOURNAL_LEN];
	if (j->n++ >= JOURNAL_LEN)
		entry_fini(e);
	return e;
}

static void add(struct journal *j, const struct service *service, enum journal_what what,
		const char *detail, const struct cause *cause, uint64_t took_us)
{
	*next_entry(j) = (struct entry){
		.at_us = clock_wall_us(),
		.service = service ? service_ref(service) : NULL,
		.what = what,
		.detail = xstrdup(detail),
		.cause = cause_ref(cause),
		.took_us = took_us,
	};
}

static void add_with(struct journal *j, const struct service *service,
		     enum journal_what what, const char *detail, const struct cause *from,
		     uint64_t took_us)
{
	struct cause *cause = cause_new(from);

	add(j, service, what, detail, cause, took_us);
	cause_unref(cause);
}

static void add_caused(struct journal *j, const struct service *s, enum journal_what what,
		       const char *detail)
{
	const struct cause *cause =
		causes_find(j->causes, service_namespace(s), service_name(s));

	add(j, s, what, detail, cause,
	    cause ? clock_monotonic_us() - cause->since_us : 0);
}

/* Others are in the journal only, unless all are logged. */
static void log_change(struct journal *j, const struct service *s, enum journal_what what,
		       const char *detail)
{
	char label[512];
	size_t n_suppressed;

	const char *text = what == JOURNAL_NO_ENDPOINTS	   ? "its last endpoint is gone"
			   : what == JOURNAL_HAS_ENDPOINTS ? "has endpoints again"
			   : what == JOURNAL_SERVED_AGAIN  ? "is served again"
			   : j->logs_all		   ? names[what]
							   : NULL;

	if (!text)
		return;
	if (!log_limiter_take(&j->limiter, 1, clock_monotonic_us()))
		return;
	n_suppressed = log_limiter_suppressed(&j->limiter);
	if (n_suppressed)
		log_info("%zu more lines about services: see sluice events",
			 n_suppressed);
	(void)service_label(s, label, sizeof(label));
	log_line_with(LOG_LEVEL_INFO,
		      &(struct log_fields){.service = label,
					   .family = family_name(s->family),
					   .reason = names[what]},
		      "service %s %s %s: %s%s%s", label, proto_name(s->proto),
		      family_name(s->family), text, *detail ? ": " : "", detail);
}

static void on_difference(void *data, enum journal_what what, const char *detail)
{
	struct writing *w = data;
	const struct service *s = w->service;

	add_caused(w->journal, s, what, detail);
	log_change(w->journal, s, what, detail);
}

/* old and new may be NULL, and are equal when nothing changed. */
static void compare(struct journal *j, const struct service *old,
		    const struct service *new)
{
	struct writing w = {j, new ? new : old};

	if (new && j->is_refused && j->is_refused(j->is_refused_data, new))
		return;
	if (j->has_started && old != new)
		journal_compare(old, new, on_difference, &w);
}

static void put(struct journal *j, struct hash *to, const struct service *new)
{
	struct service *old = hash_del(&j->known, new);

	compare(j, old, new);
	(void)hash_put(to, service_ref(new));
	service_unref(old);
}

static void apply_full(struct journal *j, const struct changeset *cs)
{
	struct hash all;
	struct service *old;

	hash_init(&all, &known_ops);
	hash_reserve(&all, cs->n);
	for (size_t i = 0; i < cs->n; i++)
		put(j, &all, cs->changes[i].new);
	for (size_t i = 0; (old = hash_next(&j->known, &i));) {
		compare(j, old, NULL);
		service_unref(old);
	}
	hash_fini(&j->known);
	j->known = all;
}

static void apply_delta(struct journal *j, const struct changeset *cs)
{
	for (size_t i = 0; i < cs->n; i++) {
		const struct change *change = &cs->changes[i];
		struct service *old;

		if (change->new) {
			put(j, &j->known, change->new);
			continue;
		}
		old = hash_del(&j->known, change->old);
		compare(j, old, NULL);
		service_unref(old);
	}
}

static int journal_apply(struct sink *sink, const struct changeset *cs)
{
	struct journal *j = container_of(sink, struct journal, sink);

	if (!cs->full) {
		apply_delta(j, cs);
		return 0;
	}
	apply_full(j, cs);
	if (!j->has_started) {
		_cleanup_(freep) char *detail = xasprintf("%zu service ports", cs->n);

		add(j, NULL, JOURNAL_STARTED, detail, NULL, 0);
	}
	j->has_started = true;
	causes_start(j->causes);
	return 0;
}

static void journal_close(struct sink *sink)
{
	struct journal *j = container_of(sink, struct journal, sink);
	struct service *s;

	for (size_t i = 0; (s = hash_next(&j->known, &i));)
		service_unref(s);
	hash_fini(&j->known);
	for (size_t i = 0; i < j->n && i < JOURNAL_LEN; i++)
		entry_fini(&j->ring[i]);
	free(j->ring);
	free(j);
}

struct sink *journal_new(struct causes *causes)
{
	static const struct sink_ops ops = {
		.name = "journal",
		.apply = journal_apply,
		.close = journal_close,
	};
	struct journal *j = xcalloc(1, sizeof(*j));

	j->sink.ops = &ops;
	j->causes = causes;
	hash_init(&j->known, &known_ops);
	j->limiter = (struct log_limiter){
		.burst = LOG_BURST,
		.interval_us = LOG_INTERVAL_US,
	};
	return &j->sink;
}

void journal_add_repair(struct sink *sink, const struct sink_repair *r)
{
	struct journal *j = container_of(sink, struct journal, sink);
	_cleanup_(freep) char *detail =
		xasprintf("changed by %s, restored%s%s in %.1f ms", r->by,
			  *r->restored ? " " : "", r->restored, (double)r->took_us / 1e3);

	add_with(j, NULL, JOURNAL_REPAIRED, detail,
		 &(struct cause){.kind = "Process", .ns = "", .name = r->by}, r->took_us);
}

void journal_log_all(struct sink *sink)
{
	container_of(sink, struct journal, sink)->logs_all = true;
}

void journal_add_claim(struct sink *sink, const struct state_conflict *c)
{
	struct journal *j = container_of(sink, struct journal, sink);
	char place[ADDR_PORT_TEXT_LEN], holder[512];
	_cleanup_(freep) char *detail =
		xasprintf("%s is held by %s", frontend_format_place(&c->frontend, place),
			  service_label(c->holder, holder, sizeof(holder)));

	add_caused(j, c->waiting, JOURNAL_CLAIM_WAITS, detail);
}

void journal_add_refused(struct sink *sink, const char *by, const struct service *s,
			 const char *why)
{
	struct journal *j = container_of(sink, struct journal, sink);
	_cleanup_(freep) char *detail =
		why ? xasprintf("%s%s%s", by, *why ? ": " : "", why)
		    : xasprintf("%s: %u frontends, %u endpoints", by, s->n_frontends,
				s->n_endpoints);

	add_caused(j, s, why ? JOURNAL_REFUSED : JOURNAL_SERVED_AGAIN, detail);
	if (!why)
		log_change(j, s, JOURNAL_SERVED_AGAIN, detail);
}

void journal_leave_out(struct sink *sink,
		       bool (*is_refused)(const void *data, const struct service *s),
		       const void *data)
{
	struct journal *j = container_of(sink, struct journal, sink);

	j->is_refused = is_refused;
	j->is_refused_data = data;
}

void journal_add_health(struct sink *sink, const struct checker_endpoint *e,
			const struct service *service)
{
	struct journal *j = container_of(sink, struct journal, sink);
	char at[ADDR_PORT_TEXT_LEN];
	_cleanup_(freep) char *detail =
		xasprintf("%s%s%s, after %u checks",
			  addr_port_format(&e->addr, e->port, at), e->is_down ? ": " : "",
			  e->is_down ? e->why : "", e->n_in_row);

	add_with(j, service, e->is_down ? JOURNAL_ENDPOINT_DOWN : JOURNAL_ENDPOINT_UP,
		 detail, &(struct cause){.kind = "HealthCheck", .ns = "", .name = at}, 0);
}

static bool is_wanted(const struct service *s, const char *ns, const char *name)
{
	return (!*ns || (s && strcmp(service_namespace(s), ns) == 0)) &&
	       (!*name || (s && strcmp(service_name(s), name) == 0));
}

/* "EndpointSlice demo/web-x and 1 more, resourceVersion 12"; "" where the detail has it. */
static char *cause_text(const struct cause *c)
{
	struct buf text = BUF_INIT;

	if (strcmp(c->kind, "Process") == 0)
		return xstrdup("");
	if (strcmp(c->kind, "Claim") == 0)
		buf_add_string(&text, "another claim of the same place");
	else
		buf_printf(&text, "%s %s%s%s", c->kind, c->ns, *c->ns ? "/" : "",
			   c->name);
	if (c->n_others)
		buf_printf(&text, " and %u more", c->n_others);
	if (*c->version)
		buf_printf(&text, ", resourceVersion %s", c->version);
	if (*c->file)
		buf_printf(&text, ", %s", c->file);
	return buf_take(&text);
}

static json_t *cause_json(const struct cause *c)
{
	_cleanup_(freep) char *text = c ? cause_text(c) : NULL;
	json_t *json;

	if (!c)
		return json_null();
	json = json_pack("{s:s, s:s, s:s, s:I, s:s}", "kind", c->kind, "namespace", c->ns,
			 "name", c->name, "others", (json_int_t)c->n_others, "text",
			 text);
	if (*c->version)
		(void)json_object_set_new(json, "resourceVersion",
					  json_string(c->version));
	if (*c->file)
		(void)json_object_set_new(json, "file", json_string(c->file));
	return json;
}

static json_t *entry_json(const struct entry *e, uint64_t number)
{
	const struct service *s = e->service;
	char at[CLOCK_TEXT_LEN];

	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:f}",
			 "number", (json_int_t)number, "time", clock_format(e->at_us, at),
			 "namespace", s ? service_namespace(s) : "", "name",
			 s ? service_name(s) : "", "portName",
			 s ? service_port_name(s) : "", "protocol",
			 s ? proto_name(s->proto) : "", "family",
			 s ? family_name(s->family) : "", "what", names[e->what],
			 "detail", e->detail, "cause", cause_json(e->cause), "tookMs",
			 (double)e->took_us / 1e3);
}

json_t *journal_json(const struct sink *sink, const char *ns, const char *name,
		     uint64_t since)
{
	const struct journal *j = container_of(sink, struct journal, sink);
	uint64_t first = j->n > JOURNAL_LEN ? j->n - JOURNAL_LEN : 0;
	json_t *entries = json_array();

	for (uint64_t i = since > first ? since : first; i < j->n; i++) {
		const struct entry *e = &j->ring[i % JOURNAL_LEN];

		if (is_wanted(e->service, ns, name))
			(void)json_array_append_new(entries, entry_json(e, i + 1));
	}
	return json_pack("{s:o, s:I, s:I}", "entries", entries, "dropped",
			 (json_int_t)(since < first ? first - since : 0), "last",
			 (json_int_t)j->n);
}
