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
};

#define NO_NODE "warn: node node-0: there is no Node object of this name; "
#define NO_POD                                                                           \
	": no address counts as one of this node's pods; their connections are treated " \
	"as external ones\n"

static const struct hint_case cases[] = {
	{"everything fits", true, true, "node-0", "ClusterCIDR", "10.244.0.0/16", ""},
	{"the given name has no Node", true, false, "node-0", "ClusterCIDR",
	 "10.244.0.0/16", NO_NODE "check --hostname-override\n"},
	{"the host's name has no Node", true, false, "", "ClusterCIDR", "10.244.0.0/16",
	 NO_NODE "this host's name is used, see --hostname-override\n"},
	{"the given name has no Node among the manifests", false, false, "node-0",
	 "ClusterCIDR", "10.244.0.0/16", NO_NODE "check --hostname-override\n"},
	{"manifests need no Node", false, false, "", "ClusterCIDR", "10.244.0.0/16", ""},
	{"no detector", true, true, "node-0", "ClusterCIDR", "",
	 "info: detect-local-mode ClusterCIDR without cluster-cidr" NO_POD},
	{"a Node without podCIDRs", true, true, "node-0", "NodeCIDR", "10.244.0.0/16",
	 "info: detect-local-mode NodeCIDR" NO_POD},
	{"an interface", true, true, "node-0", "BridgeInterface", "", ""},
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
				  object_text_first("apiVersion: v1\nkind: Node\n"
						    "metadata: {name: node-0}\n"));
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
