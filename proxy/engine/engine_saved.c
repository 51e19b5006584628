#include "proxy/engine/engine_saved.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/saver.h"
#include "watchers/cluster.h"

#define PATIENCE_SEC 10. /* with the server, while the rules of an earlier run serve */

static void look_for_ours(void *data, const struct nf_chain *chain)
{
	bool *is_ours = data;

	*is_ours |=
		strcmp(chain->table, "sluice") == 0 && strcmp(chain->type, "nat") == 0;
}

int engine_saved_find_rules(const struct engine *e)
{
	bool is_ours = false;
	int err;

	if (e->plane->needs_daemon)
		return 0;
	if (!e->parts->list_chains)
		return -ENOTSUP;
	err = e->parts->list_chains(look_for_ours, &is_ours);
	return err ? err : is_ours;
}

static void program(struct engine *e)
{
	char text[CLOCK_TEXT_LEN];

	if (engine_lacks_pod_cidr(e)) {
		log_warn("state: the last known Node has no podCIDRs; waiting for the "
			 "API server");
		return;
	}
	log_warn("state: programming the last known objects, of %s, until the API server "
		 "has been read",
		 clock_format(e->saved.written_us, text));
	e->saved.since_us = clock_wall_us();
	e->is_ready = true;
	e->hooks.ready(e->hooks.data);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int revents)
{
	program(timer->data);
}

void engine_saved_start(struct engine *e)
{
	struct engine_saved *saved = &e->saved;
	_cleanup_(freep) char *source = NULL;

	if (saved->is_wanted && *e->config->state_dir && e->source->ops->identity)
		source = e->source->ops->identity(e->source);
	if (!source)
		return;
	saved->saver = saver_new(&(struct saver_params){
		.loop = e->loop,
		.cluster = e->cluster,
		.dir = e->config->state_dir,
		.node = e->node_name,
		.source = source,
	});
	if (saved->saver)
		saved->written_us = saver_load(saved->saver);
	if (!saved->written_us)
		return;
	ev_timer_init(&saved->patience, on_patience, PATIENCE_SEC, 0.);
	saved->patience.data = e;
	if (engine_saved_find_rules(e) == 1)
		ev_timer_start(e->loop, &saved->patience);
	else
		program(e);
}

void engine_saved_stop(struct engine *e)
{
	ev_timer_stop(e->loop, &e->saved.patience);
	saver_free(take_ptr(e->saved.saver));
}

void engine_saved_synced(struct engine *e)
{
	ev_timer_stop(e->loop, &e->saved.patience);
	if (e->saved.since_us)
		log_info("state: the API server has been read; its objects replace the "
			 "last known ones");
	e->saved.since_us = 0;
	engine_saved_changed(e);
}

void engine_saved_changed(struct engine *e)
{
	if (e->saved.saver)
		saver_mark(e->saved.saver);
}
