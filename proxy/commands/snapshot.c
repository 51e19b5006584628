/*
 * The loop runs until the source is synced; with manifests it does not wait.
 */
#include "proxy/commands/snapshot.h"

#include <errno.h>
#include <ev.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/commands/commands.h"
#include "proxy/config/config.h"
#include "proxy/host/host_addresses.h"
#include "proxy/host/node_name.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/rejections.h"
#include "watchers/cluster.h"
#include "watchers/plan/plan.h"
#include "watchers/plan/plan_print.h"

struct waiting {
	struct ev_loop *loop;
	bool is_synced;
	int err;
};

static void on_synced(void *data, int err)
{
	struct waiting *w = data;

	w->is_synced = true;
	w->err = err;
	ev_break(w->loop, EVBREAK_ALL);
}

static void on_changed(void *data)
{
	(void)data; /* one look is all we want */
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	ev_break(loop, EVBREAK_ALL);
}

static int wait_for_source(struct object_source *source, double timeout_sec,
			   int *ret_source_err)
{
	struct waiting w = {.loop = ev_loop_new(EVFLAG_AUTO)};
	const struct source_events events = {
		.synced = on_synced,
		.changed = on_changed,
		.data = &w,
	};
	ev_timer timeout;
	int err = source->ops->start(source, w.loop, &events);

	if (err == 0 && !w.is_synced) {
		ev_timer_init(&timeout, on_timeout, timeout_sec, 0.);
		if (timeout_sec > 0)
			ev_timer_start(w.loop, &timeout);
		ev_run(w.loop, 0);
		ev_timer_stop(w.loop, &timeout);
	}
	if (err == 0 && !w.is_synced) {
		log_err("%s: not all objects could be read within %g s; giving up "
			"(see --timeout)",
			source->ops->name, timeout_sec);
		err = -ETIMEDOUT;
	}
	*ret_source_err = w.err;
	source_close(source);
	ev_loop_destroy(w.loop);
	return err;
}

static void read_hosts(struct node_info *node_info)
{
	_cleanup_(host_addresses_freep) struct host_addresses *hosts = NULL;
	const struct addr *list;
	size_t n;
	int err = host_addresses_new(&hosts);

	if (err == 0)
		err = host_addresses_read(hosts);
	if (err != 0) {
		log_warn("this host's addresses are unknown: %s", strerror(-err));
		return;
	}
	list = host_addresses_list(hosts, &n);
	node_info_set_hosts(node_info, list, n);
}

int snapshot_take(struct snapshot *s, const struct config *config,
		  const struct parts *parts, bool keep_nodeports)
{
	struct object_source *source = NULL;
	int err;

	*s = (struct snapshot){.parts = parts, .config = config};
	s->rejections = rejections_new(keep_nodeports);
	err = node_name_find(config->hostname_override, &s->node_name);
	if (err != 0) {
		log_err("this node has no name; see --hostname-override");
		return err;
	}
	s->cluster = cluster_new(s->node_name);
	s->state = state_new();
	node_info_init(&s->node_info, config, s->node_name);
	s->node_info.options.reject = rejections_reject(s->rejections);
	s->node_info.options.keep_nodeports = keep_nodeports;
	if (!keep_nodeports)
		read_hosts(&s->node_info);
	err = parts->make_source(config, s->node_name, s->cluster,
				 rejections_reject(s->rejections), &source);
	if (err == 0)
		err = wait_for_source(source, (double)config->timeout_ns / 1e9,
				      &s->source_err);
	if (err != 0)
		return err;
	if (node_info_update(&s->node_info, s->cluster) & NODE_INFO_PLAN)
		cluster_mark_all(s->cluster);
	node_info_set_state(&s->node_info, s->state);
	(void)plan_dirty(s->cluster, &s->node_info.options, s->state, SIZE_MAX);
	return 0;
}

void snapshot_fini(struct snapshot *s)
{
	if (s->cluster) {
		node_info_fini(&s->node_info);
		state_free(s->state);
		cluster_free(s->cluster);
	}
	rejections_free(s->rejections);
	free(s->node_name);
	*s = (struct snapshot){0};
}

int snapshot_show(const struct config *config, const struct parts *parts,
		  bool keep_nodeports, int (*show)(const struct snapshot *s, int format),
		  int format)
{
	struct snapshot s;
	int status = STATUS_FAILED;

	if (snapshot_take(&s, config, parts, keep_nodeports) == 0)
		status = show(&s, format);
	if (s.source_err != 0)
		status = STATUS_FAILED;
	snapshot_fini(&s);
	return status;
}

struct plan_print_input snapshot_print_input(const struct snapshot *s)
{
	const struct object_node *node = cluster_node(s->cluster);
	struct plan_print_input input = {
		.node_name = s->node_name,
		.zone = node ? node->zone : "",
		.state = s->state,
	};

	input.rejected = rejections_kept(s->rejections, &input.n_rejected);
	return input;
}
