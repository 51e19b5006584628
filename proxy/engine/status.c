#include "proxy/engine/status.h"

#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/hints.h"
#include "proxy/engine/rejections.h"
#include "proxy/engine/sink_set.h"
#include "proxy/engine/source.h"
#include "proxy/engine/sync.h"
#include "watchers/checks/checker.h"
#include "watchers/cluster.h"

#define LATE_US 1000000 /* a change that waits for longer is missing */

/* The reasons why the daemon is not in sync. */
struct problems {
	json_t *texts;
	int64_t since_us; /* the oldest one */
};

/* Takes text. since_us 0: not known. */
static void add_problem(struct problems *p, int64_t since_us, char *text)
{
	if (since_us && (!p->since_us || since_us < p->since_us))
		p->since_us = since_us;
	(void)json_array_append_new(p->texts, json_string(text));
	free(text);
}

/* Unix time of a moment by the monotonic clock. */
static int64_t date_of(uint64_t at_us)
{
	return clock_wall_us() - (int64_t)(clock_monotonic_us() - at_us);
}

static void check_pending(const struct engine *e, struct problems *p)
{
	struct sync_stats stats = sync_stats(e->sync);
	size_t n = sync_n_pending(e->sync);
	uint64_t since_us = stats.waits_since_us[FAMILY_IPV4];

	if (since_us && since_us + LATE_US < clock_monotonic_us())
		add_problem(p, date_of(since_us),
			    xasprintf("changes wait to be programmed, of %zu Services",
				      n));
}

static void check_sink(const struct sink_state *s, const struct sink *sink,
		       struct problems *p)
{
	const char *name = sink->ops->name;

	if (s->err)
		add_problem(p, date_of(s->failed_us),
			    xasprintf("%s: could not apply changes: %s", name,
				      strerror(-s->err)));
	else if (s->is_stale)
		add_problem(p, 0,
			    xasprintf("%s: waits for %s", name,
				      sink->after ? sink->after->ops->name : "a run"));
	else if (s->is_changed)
		add_problem(p, 0,
			    xasprintf("%s: %s changed it; to be restored", name,
				      sink_changed_by(sink) ? sink_changed_by(sink)
							    : "another process"));
	if (refused_n(&s->refused))
		add_problem(p, 0,
			    xasprintf("%s: %zu service ports refused, see the log", name,
				      refused_n(&s->refused)));
}

static void check_sinks(const struct engine *e, struct problems *p)
{
	const struct sink_set *set = sync_sinks(e->sync);

	for (size_t i = 0; i < e->dataplane.n_sinks; i++)
		check_sink(&set->states[i], e->dataplane.sinks[i], p);
}

static void check_source(const struct engine *e, struct problems *p)
{
	const struct source_ops *ops = e->source->ops;
	size_t n_missing = ops->n_missing ? ops->n_missing(e->source) : 0;
	struct source_api api = {0};

	if (ops->api)
		api = ops->api(e->source);
	if (api.silent_since_us)
		add_problem(p, api.silent_since_us,
			    xasprintf("api: %s does not answer; the last known objects "
				      "stay in effect",
				      api.host));
	if (n_missing)
		add_problem(p, 0,
			    xasprintf("manifests: %zu paths cannot be found or read; "
				      "their last objects stay in effect",
				      n_missing));
}

static void check_saved(const struct engine *e, struct problems *p)
{
	char text[CLOCK_TEXT_LEN];

	if (e->saved.since_us)
		add_problem(p, e->saved.since_us,
			    xasprintf("runs from the last known objects, of %s: the API "
				      "server has not been read yet",
				      clock_format(e->saved.written_us, text)));
}

static struct problems find_problems(const struct engine *e)
{
	struct problems p = {.texts = json_array()};
	char *unready = engine_unready(e);

	if (unready) {
		add_problem(&p, date_of(e->opened_us), unready);
	} else {
		check_pending(e, &p);
		check_sinks(e, &p);
	}
	check_saved(e, &p);
	check_source(e, &p);
	return p;
}

static void note(struct status *s, const struct problems *p)
{
	bool is_in_sync = json_array_size(p->texts) == 0;

	if (!s->since_us || is_in_sync != s->is_in_sync)
		s->since_us = p->since_us ? p->since_us : clock_wall_us();
	s->is_in_sync = is_in_sync;
}

void status_update(struct status *s)
{
	struct problems p = find_problems(s->engine);

	note(s, &p);
	json_decref(p.texts);
}

/* null when it has not been. */
static json_t *time_json(int64_t wall_us)
{
	char text[CLOCK_TEXT_LEN];

	return wall_us ? json_string(clock_format(wall_us, text)) : json_null();
}

static json_t *source_json(const struct engine *e)
{
	json_t *json = json_pack("{s:s}", "kind", e->source->ops->name);
	struct source_api api;

	if (!e->source->ops->api)
		return json;
	api = e->source->ops->api(e->source);
	(void)json_object_set_new(json, "server", json_string(api.host));
	(void)json_object_set_new(json, "silentSince", time_json(api.silent_since_us));
	(void)json_object_set_new(json, "savedSince", time_json(e->saved.since_us));
	(void)json_object_set_new(json, "savedAt",
				  time_json(e->saved.since_us ? e->saved.written_us : 0));
	return json;
}

static json_t *node_json(const struct engine *e)
{
	const struct object_node *node = cluster_node(e->cluster);

	return json_pack("{s:s, s:s, s:b}", "name", e->node_name, "zone",
			 node ? node->zone : "", "isKnown", node != NULL);
}

static json_t *sync_json(const struct engine *e)
{
	struct sync_stats stats = sync_stats(e->sync);
	const struct sync_run *last = &stats.last;

	if (!stats.n_runs)
		return json_null();
	return json_pack("{s:o, s:s, s:b, s:I, s:I, s:f}", "time",
			 time_json(stats.ended_us[last->reason]), "reason",
			 sync_reason_name(last->reason), "full", last->full, "services",
			 (json_int_t)last->n_planned, "servicePorts",
			 (json_int_t)last->n_changes, "durationMs",
			 (double)last->total_us / 1e3);
}

static json_t *sinks_json(const struct engine *e)
{
	const struct sink_set *set = sync_sinks(e->sync);
	json_t *json = json_array();

	for (size_t i = 0; i < e->dataplane.n_sinks; i++) {
		const struct sink_state *s = &set->states[i];
		const char *state = s->err	    ? "failed"
				    : s->is_stale   ? "waits"
				    : s->is_changed ? "changed"
						    : "current";

		(void)json_array_append_new(
			json, json_pack("{s:s, s:s, s:I, s:I, s:I}", "name",
					e->dataplane.sinks[i]->ops->name, "state", state,
					"refused", (json_int_t)refused_n(&s->refused),
					"repairs", (json_int_t)s->n_repairs, "failures",
					(json_int_t)s->n_failures));
	}
	return json;
}

static json_t *counts_json(const struct engine *e)
{
	const struct checker_stats checks = checker_stats(e->checker);
	const struct state *state = sync_state(e->sync);
	size_t n_frontends = 0, n_endpoints = 0, n_without = 0;
	const struct service *service;

	for (size_t i = 0; (service = state_next(state, &i));) {
		n_frontends += service->n_frontends;
		n_endpoints += service->n_endpoints;
		n_without += service->n_endpoints == 0;
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "services",
			 (json_int_t)cluster_n(e->cluster, OBJECT_SERVICE),
			 "endpointSlices",
			 (json_int_t)cluster_n(e->cluster, OBJECT_SLICE), "servicePorts",
			 (json_int_t)state_n_services(state), "frontends",
			 (json_int_t)n_frontends, "endpoints", (json_int_t)n_endpoints,
			 "withoutEndpoints", (json_int_t)n_without, "waitingClaims",
			 (json_int_t)state_n_conflicts(state), "ignored",
			 (json_int_t)rejections_n(e->rejections), "checkedEndpoints",
			 (json_int_t)checks.n_endpoints, "downEndpoints",
			 (json_int_t)checks.n_down);
}

static void add_hint(void *data, bool is_warning, const char *hint)
{
	if (is_warning)
		(void)json_array_append_new(data, json_string(hint));
}

json_t *status_json(struct status *s)
{
	const struct engine *e = s->engine;
	struct sync_stats stats = sync_stats(e->sync);
	struct problems p = find_problems(e);
	json_t *warnings = json_array();
	_cleanup_(freep) char *down = endpoint_health_warning(e->checker);

	note(s, &p);
	if (stats.n_runs)
		hints_check(e, s->list_chains, add_hint, warnings);
	if (down)
		(void)json_array_append_new(warnings, json_string(down));
	return json_pack(
		"{s:s, s:s, s:s, s:i, s:o, s:b, s:o, s:o, s:s, s:s, s:b, s:o, s:o, s:o, "
		"s:o, s:s, s:s, s:o, s:o, s:o, s:o}",
		"apiVersion", "sluice/v1", "kind", "Status", "version", SLUICE_VERSION,
		"pid", (int)getpid(), "started", time_json(date_of(e->opened_us)),
		"inSync", s->is_in_sync, "since", time_json(s->since_us), "problems",
		p.texts, "mode", e->dataplane.mode, "modeReason",
		buf_string(&e->plane_why), "healthy", s->is_healthy(s->data), "node",
		node_json(e), "source", source_json(e), "lastSync", sync_json(e),
		"lastRepair", time_json(stats.repaired_us), "lastChangedBy",
		stats.repaired_us ? dataplane_changed_by(&e->dataplane) : "",
		"lastRestored", dataplane_restored(&e->dataplane), "lastAudit",
		time_json(stats.ended_us[SYNC_REASON_AUDIT]), "sinks", sinks_json(e),
		"counts", counts_json(e), "warnings", warnings);
}

char *status_line(struct status *s)
{
	const struct engine *e = s->engine;
	struct problems p = find_problems(e);
	const char *first = json_string_value(json_array_get(p.texts, 0));
	char *line =
		first ? xasprintf("not in sync: %s", first)
		      : xasprintf("in sync, mode %s, %zu Services, %zu service ports",
				  e->dataplane.mode,
				  cluster_n(e->cluster, OBJECT_SERVICE),
				  state_n_services(sync_state(e->sync)));

	note(s, &p);
	json_decref(p.texts);
	return line;
}
