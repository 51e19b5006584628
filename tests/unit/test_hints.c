/*
 * The hints about settings that fit no object.
 */
#include "tests/test.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/hints.h"
#include "proxy/engine/source.h"
#include "tests/unit/object_text.h"
#include "watchers/cluster.h"

static struct source_api no_api(const struct object_source *source)
{
	(void)source;
	return (struct source_api){0};
}

struct hint_case {
	const char *what;
	bool has_api, has_node;
	const char *hostname, *mode, *cluster_cidr;
	const char *hints;
	const char *service_cidr; /* NULL: none */
};

#define NODE	"apiVersion: v1\nkind: Node\nmetadata: {name: node-0}\n"
#define NO_NODE "warn: node node-0: there is no Node object of this name; "
#define NO_POD                                                                           \
	": no address counts as one of this node's pods; their connections are treated " \
	"as external ones; set --cluster-cidr\n"

#define OVERLAP                                                                          \
	", a network or address of pods or of this node: packets to its unused "         \
	"addresses are not dropped, and a Service may have the address of a pod or "     \
	"host; the networks must be separate\n"

static const struct hint_case cases[] = {
	{"everything fits", true, true, "node-0", "ClusterCIDR", "10.244.0.0/16", "",
	 NULL},
	{"the given name has no Node", true, false, "node-0", "ClusterCIDR",
	 "10.244.0.0/16", NO_NODE "check --hostname-override\n", NULL},
	{"the host's name has no Node", true, false, "", "ClusterCIDR", "10.244.0.0/16",
	 NO_NODE "this host's name is used, see --hostname-override\n", NULL},
	{"the given name has no Node among the manifests", false, false, "node-0",
	 "ClusterCIDR", "10.244.0.0/16", NO_NODE "check --hostname-override\n", NULL},
	{"manifests need no Node", false, false, "", "ClusterCIDR", "10.244.0.0/16", "",
	 NULL},
	{"no detector", true, true, "node-0", "ClusterCIDR", "",
	 "warn: detect-local-mode ClusterCIDR without cluster-cidr" NO_POD, NULL},
	{"a Node without podCIDRs", true, true, "node-0", "NodeCIDR", "10.244.0.0/16",
	 "warn: detect-local-mode NodeCIDR" NO_POD, NULL},
	{"manifests do not need a detector", false, true, "node-0", "ClusterCIDR", "",
	 "info: detect-local-mode ClusterCIDR without cluster-cidr" NO_POD, NULL},
	{"Services and pods in one network", true, true, "node-0", "ClusterCIDR",
	 "10.244.0.0/16", "warn: ServiceCIDR 10.128.0.0/9 overlaps 10.244.0.0/16" OVERLAP,
	 "10.128.0.0/9"},
	{"a Service network in that of the pods, by the Node", true, true, "node-0",
	 "BridgeInterface", "",
	 "warn: ServiceCIDR 10.244.7.0/24 overlaps 10.244.0.0/16" OVERLAP,
	 "10.244.7.0/24"},
	{"separate networks", true, true, "node-0", "ClusterCIDR", "10.244.0.0/16", "",
	 "10.96.0.0/12"},
	{"an interface", true, true, "node-0", "BridgeInterface", "", "", NULL},
};

static void set_text(char **where, const char *text)
{
	free(*where);
	*where = xstrdup(text);
}

/* Those about the host depend on the machine. */
static void note(void *data, bool is_warning, const char *hint)
{
	if (strncmp(hint, "this host: ", 11) != 0)
		buf_printf(data, "%s: %s\n", is_warning ? "warn" : "info", hint);
}

static void check(const struct hint_case *c, struct buf *ret_hints)
{
	const struct source_ops ops = {.name = "test", .api = c->has_api ? no_api : NULL};
	struct object_source source = {.ops = &ops};
	struct config config;
	struct engine e = {.config = &config, .source = &source};

	config_init(&config);
	config_complete(&config);
	set_text(&config.hostname_override, c->hostname);
	set_text(&config.detect_local_mode, c->mode);
	set_text(&config.cluster_cidr, c->cluster_cidr);
	set_text(&config.bridge_interface, "br0");
	e.node_name = (char *)(uintptr_t) "node-0";
	e.cluster = cluster_new("node-0");
	node_info_init(&e.node_info, &config, "node-0");
	if (c->has_node)
		(void)cluster_put(e.cluster,
				  object_text_first(
					  c->service_cidr ? NODE
						  "spec: {podCIDR: 10.244.0.0/16}\n"
							  : NODE));
	if (c->service_cidr) {
		_cleanup_(freep) char *yaml =
			xasprintf("apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\n"
				  "metadata: {name: a}\nspec: {cidrs: [%s]}\n",
				  c->service_cidr);

		(void)cluster_put(e.cluster, object_text_first(yaml));
	}
	(void)node_info_update(&e.node_info, e.cluster);
	hints_check(&e, NULL, note, ret_hints);
	node_info_fini(&e.node_info);
	cluster_free(e.cluster);
	config_fini(&config);
}

static void settings_that_fit_nothing_are_hinted_at(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(buf_fini) struct buf hints = BUF_INIT;

		print_message("  %s\n", cases[i].what);
		check(&cases[i], &hints);
		assert_string_equal(buf_string(&hints), cases[i].hints);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_that_fit_nothing_are_hinted_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
