#include "tests/unit/inspect_world.h"

#include "tests/test.h"

#include "core/cleanup.h"
#include "core/state.h"
#include "proxy/config/config_json.h"
#include "tests/unit/cluster_text.h"
#include "watchers/cluster.h"
#include "watchers/plan/plan.h"

static char *is_ready(const void *data)
{
	(void)data;
	return NULL;
}

static json_t *config_of(const void *data)
{
	const struct inspect_world *w = data;

	return json_pack("{s:o, s:b}", "config", config_to_json(&w->config),
			 "fromManifests", w->config.manifests.n > 0);
}

void inspect_world_open(struct inspect_world *w, const char *objects)
{
	struct addr host;

	*w = (struct inspect_world){0};
	config_init(&w->config);
	config_complete(&w->config);
	w->cluster = cluster_new("node-0");
	w->state = state_new();
	node_info_init(&w->info, &w->config, "node-0");
	assert_int_equal(addr_parse("10.1.0.1", &host), 0);
	node_info_set_hosts(&w->info, &host, 1);
	(void)cluster_put_text(w->cluster, objects);
	(void)node_info_update(&w->info, w->cluster);
	(void)plan_dirty(w->cluster, &w->info.options, w->state, SIZE_MAX);
	w->in = (struct inspect){
		.cluster = w->cluster,
		.node_info = &w->info,
		.state = w->state,
		.dataplane = &w->dataplane,
		.unready = is_ready,
		.config = config_of,
		.data = w,
	};
}

void inspect_world_close(struct inspect_world *w)
{
	node_info_fini(&w->info);
	state_free(w->state);
	cluster_free(w->cluster);
	config_fini(&w->config);
}

json_t *inspect_world_ask(struct inspect_world *w, const struct control_request *request)
{
	_cleanup_(freep) char *error = NULL;
	struct control_answer *answer;
	struct buf out = BUF_INIT;
	json_t *json;

	answer = inspect_answer(&w->in, request, &error);
	assert_non_null(answer);
	while (answer->ops->write(answer, &out))
		continue;
	answer->ops->free(answer);
	json = json_loads(buf_string(&out), 0, NULL);
	buf_fini(&out);
	assert_non_null(json);
	return json;
}
