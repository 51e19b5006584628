#include "proxy/run/startup_hints.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/source.h"
#include "proxy/host/preconditions.h"
#include "watchers/cluster.h"

/* Without its Node object there are no topology hints and no addresses of the node. */
static void check_node(const struct engine *e)
{
	bool is_named = *e->config->hostname_override;

	if (cluster_node(e->cluster) || (!e->source->ops->api && !is_named))
		return;
	log_warn("node %s: there is no Node object of this name; %s", e->node_name,
		 is_named ? "check --hostname-override"
			  : "this host's name is used, see --hostname-override");
}

static void check_detector(const struct engine *e)
{
	const struct environment *env = &e->node_info.env;

	for (enum family family = 0; family < FAMILY_N; family++)
		if (environment_has_detector(env, family))
			return;
	log_info("detect-local-mode %s%s: no address counts as one of this node's pods; "
		 "their connections are treated as external ones",
		 e->config->detect_local_mode,
		 *e->config->cluster_cidr ? "" : " without cluster-cidr");
}

/* Most findings hold for both families, one after the other. */
static void log_finding(void *data, enum family family, unsigned clients,
			const char *finding)
{
	char **last = data;

	(void)family;
	(void)clients;
	if (*last && strcmp(*last, finding) == 0)
		return;
	log_warn("this host: %s", finding);
	free(*last);
	*last = xstrdup(finding);
}

void startup_hints(const struct engine *e, int (*list_chains)(nf_chain_fn fn, void *data))
{
	const struct preconditions preconditions = {
		.root = "",
		.node_info = &e->node_info,
		.list_chains = list_chains,
	};
	_cleanup_(freep) char *last = NULL;

	check_node(e);
	check_detector(e);
	preconditions_check(&preconditions, log_finding, &last);
}
