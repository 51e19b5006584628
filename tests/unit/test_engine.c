/*
 * The engine with a fake source and without a data plane: what it reports before
 * its first sync, and that the control socket refuses to answer until then.
 */
#include "tests/test.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/control/inspect.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/status.h"
#include "proxy/engine/sync.h"

static const struct source_events *source_events;
static struct source_events kept_events;

static int fake_start(struct object_source *source, struct ev_loop *loop,
		      const struct source_events *events)
{
	(void)source;
	(void)loop;
	kept_events = *events;
	source_events = &kept_events;
	return 0;
}

static void fake_close(struct object_source *source)
{
	free(source);
}

static char *fake_unread(const struct object_source *source)
{
	(void)source;
	return xstrdup("services, nodes (api: connection refused)");
}

static int make_source(const struct config *config, const char *node_name,
		       struct cluster *cluster, const struct reject *reject,
		       struct object_source **ret)
{
	static const struct source_ops ops = {
		.name = "fake",
		.start = fake_start,
		.close = fake_close,
		.unread = fake_unread,
	};

	(void)config;
	(void)node_name;
	(void)cluster;
	(void)reject;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->ops = &ops;
	return 0;
}

static int probe_none(const struct config *config, char **ret_why_not)
{
	(void)config;
	(void)ret_why_not;
	return 0;
}

static int open_none(const struct config *config, struct ev_loop *loop,
		     struct dataplane *ret)
{
	(void)config;
	(void)loop;
	*ret = (struct dataplane){.mode = "none"};
	return 0;
}

static const struct plane none = {
	.mode = "none",
	.probe = probe_none,
	.open = open_none,
};

static const struct parts parts = {
	.make_source = make_source,
	.planes = &none,
	.n_planes = 1,
};

static void on_synced(void *data, int err)
{
	(void)data;
	(void)err;
}

static void on_ready(void *data)
{
	(void)data;
}

static char *unready(const void *data)
{
	return engine_unready(data);
}

static void refuses_each_verb(struct engine *e, const char *why)
{
	struct inspect in = {
		.cluster = e->cluster,
		.node_info = &e->node_info,
		.state = sync_state(e->sync),
		.dataplane = &e->dataplane,
		.unready = unready,
		.data = e,
	};

	for (int verb = 0; verb < CONTROL_VERB_N; verb++) {
		if (verb == CONTROL_STATUS || verb == CONTROL_EVENTS)
			continue;
		struct control_request request = {
			.verb = (enum control_verb)verb,
			.frontend = "10.96.0.10:80",
		};
		_cleanup_(freep) char *error = NULL;

		assert_null(inspect_answer(&in, &request, &error));
		assert_string_equal(error, why);
	}
}

static bool is_healthy(void *data)
{
	(void)data;
	return true;
}

/* problem "": in sync. */
static void expect_status(struct status *status, const char *problem)
{
	json_t *json = status_json(status);
	json_t *problems = json_object_get(json, "problems");
	const char *first = json_string_value(json_array_get(problems, 0));

	assert_string_equal(first ? first : "", problem);
	assert_int_equal(json_is_true(json_object_get(json, "inSync")), !*problem);
	assert_true(json_is_string(json_object_get(json, "since")));
	assert_true(strcmp(json_string_value(json_object_get(json, "started")), "2026") >
		    0);
	assert_string_equal(json_string_value(json_object_get(json, "mode")), "none");
	assert_int_equal(json_is_null(json_object_get(json, "lastSync")), *problem != 0);
	json_decref(json);
}

static const char unread[] =
	"nothing read yet: services, nodes (api: connection refused), "
	"since 0 s; the kernel serves the rules of an earlier run";

static const char *nat_table; /* the only one on this host */

static int list_chains(nf_chain_fn fn, void *data)
{
	fn(data, &(struct nf_chain){.table = nat_table, .name = "", .type = "nat"});
	return 0;
}

static void expect_served(struct engine *e, const char *table, const char *end)
{
	struct parts with_chains = parts;
	const struct parts *before = e->parts;
	_cleanup_(freep) char *why = NULL;

	nat_table = table;
	with_chains.list_chains = list_chains;
	e->parts = &with_chains;
	why = engine_unready(e);
	assert_string_equal(strchr(why, ';'), end);
	e->parts = before;
}

static void nothing_is_shown_before_the_first_sync(void **state)
{
	const struct engine_hooks hooks = {.synced = on_synced, .ready = on_ready};
	struct engine e = {.loop = NULL};
	struct status status = {.engine = &e, .is_healthy = is_healthy};
	struct config config;

	(void)state;
	config_init(&config);
	config_complete(&config);
	assert_int_equal(engine_open(&e, &config, &parts, &hooks), 0);
	assert_int_equal(engine_start(&e), 0);
	assert_true(engine_take_lock(&e)); /* it has it */
	refuses_each_verb(&e, unread);
	expect_status(&status, unread);
	expect_served(&e, "sluice", "; the kernel serves the rules of an earlier run");
	expect_served(&e, "other",
		      "; nothing is served: the kernel has no rules of an "
		      "earlier run");
	source_events->synced(source_events->data, 0);
	refuses_each_verb(&e, "nothing programmed yet: the first sync is due; the "
			      "kernel serves the rules of an earlier run");
	(void)sync_run(e.sync);
	assert_null(engine_unready(&e));
	expect_status(&status, "");
	engine_close(&e);
	config_fini(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_shown_before_the_first_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
