/*
 * `sluice diff --manifests`: what would change if these objects were applied.  Against
 * a running daemon its plan is compared; without one, the rules in the kernel.
 */
#include <errno.h>
#include <ev.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/commands/diff_manifests.h"
#include "proxy/commands/plan_diff.h"
#include "proxy/commands/snapshot.h"
#include "proxy/config/config_file.h"
#include "proxy/config/options.h"
#include "proxy/control/control.h"
#include "proxy/engine/full_changes.h"
#include "proxy/engine/parts.h"
#include "watchers/cluster.h"
#include "watchers/decode/json_text.h"
#include "watchers/plan/plan_print.h"

static int ask(const struct options *options, enum control_verb verb, json_t **ret)
{
	const struct control_request request = {.verb = verb};

	return control_ask(options->config.control_socket, &request, ret);
}

/* A flag about decisions was given: then those of the daemon do not count. */
static bool has_own_settings(const struct options *options)
{
	for (size_t i = 0; i < options->n_given; i++) {
		const struct flag *flag = options->given[i].flag;

		if ((flag->commands & 1u << COMMAND_PLAN) &&
		    !(flag->commands & 1u << COMMAND_GET) &&
		    flag->offset != offsetof(struct options, config.manifests))
			return true;
	}
	return false;
}

/* The daemon's configuration, with the manifests of the command line. */
static int take_settings(struct options *options, const json_t *settings)
{
	_cleanup_(freep) char *error = NULL;
	_cleanup_(freep) char *text = json_dumps(settings, JSON_COMPACT);
	struct config config;

	config_init(&config);
	if (!text || config_file_parse(text, strlen(text), "the daemon's configuration",
				       &config, &error) != 0) {
		command_error("%s", error ? error : "no configuration");
		config_fini(&config);
		return STATUS_FAILED;
	}
	for (size_t i = 0; i < options->config.manifests.n; i++)
		strings_add(&config.manifests, options->config.manifests.items[i]);
	config.modes = options->config.modes;
	config_fini(&options->config);
	options->config = config;
	return STATUS_OK;
}

/* The services by their keys. */
static json_t *index_services(const json_t *services)
{
	json_t *index = json_object();
	const json_t *service;
	size_t i;

	json_array_foreach(services, i, service)
	{
		_cleanup_(freep) char *key = plan_diff_key(service);

		(void)json_object_set(index, key, (json_t *)(uintptr_t)service);
	}
	return index;
}

static json_t *plan_of(const struct snapshot *s)
{
	size_t n;
	_cleanup_(freep) const struct service **sorted = state_sorted(s->state, &n);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, plan_print_service(sorted[i], NULL));
	return list;
}

struct comparison {
	const struct snapshot *snapshot;
	bool is_whole; /* objects that the manifests do not have would be removed */
	struct buf *out;
	bool differs;
};

static void compare_service(struct comparison *c, const json_t *before,
			    const json_t *after)
{
	const json_t *one = after ? after : before;
	const char *ns = json_text(one, "namespace"), *name = json_text(one, "name");
	const struct cluster *cluster = c->snapshot->cluster;
	struct plan_diff_pair pair = {.before = before, .after = after};
	size_t n_slices;

	if (!c->is_whole && !cluster_service(cluster, ns, name))
		return;
	free(cluster_slices(cluster, ns, name, &n_slices));
	pair.keeps_endpoints = !c->is_whole && n_slices == 0;
	c->differs |= plan_diff_service(&pair, c->out);
}

static void compare_plans(struct comparison *c, const json_t *before, const json_t *after)
{
	json_auto_t *old = index_services(before), *new = index_services(after);
	const char *key;
	json_t *service;

	json_object_foreach(new, key, service)
		compare_service(c, json_object_get(old, key), service);
	json_object_foreach(old, key, service) if (!json_object_get(new, key))
		compare_service(c, service, NULL);
}

static int diff_daemon(struct options *options, const struct parts *parts)
{
	json_auto_t *settings = NULL, *before = NULL, *after = NULL;
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct comparison c = {.out = &out};
	struct snapshot s = {0};
	int status = STATUS_FAILED;

	if (ask(options, CONTROL_CONFIG, &settings) != 0 ||
	    ask(options, CONTROL_PLAN, &before) != 0)
		return STATUS_FAILED;
	if (!has_own_settings(options) &&
	    take_settings(options, json_object_get(settings, "config")) != STATUS_OK)
		return STATUS_FAILED;
	if (command_prepare(options) == STATUS_OK &&
	    snapshot_take(&s, &options->config, parts, false) == 0 && !s.source_err) {
		c.snapshot = &s;
		c.is_whole = json_is_true(json_object_get(settings, "fromManifests"));
		after = plan_of(&s);
		compare_plans(&c, before, after);
		status = command_print(&out);
		if (c.differs)
			status = STATUS_FAILED;
	}
	snapshot_fini(&s);
	return status;
}

/* In lines for the reader of a change: "+ " is what would be added. */
static void add_reversed(const char *lines, struct buf *out)
{
	for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
		len = strcspn(lines, "\n");
		buf_printf(out, "%c%.*s\n",
			   *lines == '-'   ? '+'
			   : *lines == '+' ? '-'
					   : *lines,
			   (int)len - 1, lines + 1);
	}
}

/* Of the sinks that can be compared; nothing is applied. */
static int diff_sinks(const struct dataplane *dp, const struct changeset *all,
		      struct buf *out)
{
	for (size_t i = 0; i < dp->n_sinks; i++) {
		const struct sink_view *view = dp->sinks[i]->ops->view;
		struct sink_diff *diff;
		size_t n;
		int err;

		if (!view || !view->diff)
			continue;
		diff = view->diff(dp->sinks[i], all);
		do {
			err = sink_diff_step(diff);
		} while (err == 1);
		if (err == 0)
			add_reversed(sink_diff_lines(diff, &n), out);
		sink_diff_free(diff);
		if (err)
			return err;
	}
	return 0;
}

static int diff_plane(const struct snapshot *s, const struct plane *plane,
		      struct ev_loop *loop)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	_cleanup_(freep) char *why = NULL;
	struct full_changes all;
	struct dataplane dp;
	int err;

	if (plane->probe(s->config, &why) != 0) {
		command_error("diff: no daemon runs, and the kernel cannot be read: %s",
			      why);
		return STATUS_FAILED;
	}
	if (plane->open(s->config, loop, &dp) != 0)
		return STATUS_FAILED;
	full_changes_init(&all, s->state, &s->node_info.env);
	err = diff_sinks(&dp, &all.cs, &out);
	full_changes_fini(&all);
	dataplane_close(&dp);
	if (err) {
		command_error("cannot read the rules in the kernel: %s", strerror(-err));
		return STATUS_FAILED;
	}
	if (out.len)
		(void)command_print(&out);
	return out.len ? STATUS_FAILED : STATUS_OK;
}

/* All modes of the kernel have the tables of this one. */
static const struct plane *find_plane(const struct parts *parts)
{
	for (size_t i = 0; i < parts->n_planes; i++)
		if (strcmp(parts->planes[i].mode, "nftables") == 0)
			return &parts->planes[i];
	return NULL;
}

static int diff_kernel(struct options *options, const struct parts *parts)
{
	const struct plane *plane = find_plane(parts);
	struct ev_loop *loop;
	struct snapshot s = {0};
	int status = STATUS_FAILED;

	if (command_prepare(options) != STATUS_OK)
		return STATUS_USAGE;
	loop = ev_loop_new(EVFLAG_AUTO);
	if (plane && snapshot_take(&s, &options->config, parts, false) == 0 &&
	    !s.source_err) {
		node_info_ask_host(&s.node_info);
		status = diff_plane(&s, plane, loop);
	}
	snapshot_fini(&s);
	ev_loop_destroy(loop);
	return status;
}

int diff_manifests(struct options *options, const struct parts *parts)
{
	if (control_is_served(options->config.control_socket))
		return diff_daemon(options, parts);
	return diff_kernel(options, parts);
}
