#include "proxy/engine/hints.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/sink_view.h"
#include "proxy/config/config.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/source.h"
#include "proxy/host/preconditions.h"
#include "watchers/cluster.h"

struct hints {
	const struct engine *engine;
	void (*fn)(void *data, bool is_warning, const char *hint);
	void *data;
	char *last; /* finding */
};

/* Takes hint. */
static void report(struct hints *h, bool is_warning, char *hint)
{
	h->fn(h->data, is_warning, hint);
	free(hint);
}

/* Without its Node object there are no topology hints and no addresses of the node. */
static void check_node(struct hints *h)
{
	const struct engine *e = h->engine;
	bool is_named = *e->config->hostname_override;

	if (cluster_node(e->cluster) || (!e->source->ops->api && !is_named))
		return;
	report(h, true,
	       xasprintf("node %s: there is no Node object of this name; %s",
			 e->node_name,
			 is_named ? "check --hostname-override"
				  : "this host's name is used, see --hostname-override"));
}

static void check_detector(struct hints *h)
{
	const struct engine *e = h->engine;

	for (enum family family = 0; family < FAMILY_N; family++)
		if (environment_has_detector(&e->node_info.env, family))
			return;
	report(h, e->source->ops->api != NULL,
	       xasprintf("detect-local-mode %s%s: no address counts as one of this "
			 "node's pods; their connections are treated as external ones; "
			 "set --cluster-cidr",
			 e->config->detect_local_mode,
			 *e->config->cluster_cidr ? "" : " without cluster-cidr"));
}

static void on_warning(void *data, const char *text)
{
	report(data, true, xstrdup(text));
}

/* Of the maps in the kernel, and of other software there. */
static void check_sinks(struct hints *h)
{
	const struct dataplane *dp = &h->engine->dataplane;

	for (size_t i = 0; i < dp->n_sinks; i++) {
		const struct sink_view *view = dp->sinks[i]->ops->view;

		if (view && view->warnings)
			view->warnings(dp->sinks[i], on_warning, h);
	}
}

/* Most findings hold for both families, one after the other. */
static void on_finding(void *data, enum family family, unsigned clients,
		       const char *finding)
{
	struct hints *h = data;

	if (h->last && strcmp(h->last, finding) == 0)
		return;
	report(h, true, xasprintf("this host: %s", finding));
	free(h->last);
	h->last = xstrdup(finding);
}

void hints_check(const struct engine *e, int (*list_chains)(nf_chain_fn fn, void *data),
		 void (*fn)(void *data, bool is_warning, const char *hint), void *data)
{
	const struct preconditions preconditions = {
		.root = "",
		.node_info = &e->node_info,
		.list_chains = list_chains,
	};
	struct hints h = {.engine = e, .fn = fn, .data = data};

	check_node(&h);
	check_detector(&h);
	node_info_each_overlap(&e->node_info, e->cluster, on_warning, &h);
	check_sinks(&h);
	preconditions_check(&preconditions, on_finding, &h);
	free(h.last);
}
