/*
 * The Node object's facts about this node, and those that remain without it.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/host/node_info.h"
#include "tests/unit/capture.h"
#include "tests/unit/object_text.h"
#include "watchers/cluster.h"

#define NODE(labels, cidr, ip)                                                           \
	"apiVersion: v1\nkind: Node\n"                                                   \
	"metadata: {name: node-0, labels: {" labels "}}\n"                               \
	"spec: {podCIDR: " cidr ", podCIDRs: [" cidr "]}\n"                              \
	"status: {addresses: [{type: InternalIP, address: " ip "}]}\n"
#define ZONE(zone) "topology.kubernetes.io/zone: " zone

struct world {
	struct config config;
	struct cluster *cluster;
	struct node_info node_info;
};

static void world_open(struct world *w, const char *detect_local_mode)
{
	config_init(&w->config);
	config_complete(&w->config);
	free(w->config.detect_local_mode);
	w->config.detect_local_mode = xstrdup(detect_local_mode);
	w->cluster = cluster_new("node-0");
	node_info_init(&w->node_info, &w->config, "node-0");
}

static void world_close(struct world *w)
{
	node_info_fini(&w->node_info);
	cluster_free(w->cluster);
	config_fini(&w->config);
}

static unsigned put(struct world *w, const char *node)
{
	(void)cluster_put(w->cluster, object_text_first(node));
	return node_info_update(&w->node_info, w->cluster);
}

static void a_changed_zone_plans_all_services_again(void **state)
{
	struct world w;

	(void)state;
	world_open(&w, "ClusterCIDR");
	(void)put(&w, NODE(ZONE("za"), "10.244.1.0/24", "192.0.2.1"));
	assert_int_equal(node_info_update(&w.node_info, w.cluster), 0);
	assert_int_equal(put(&w, NODE(ZONE("zb"), "10.244.1.0/24", "192.0.2.1")),
			 NODE_INFO_PLAN);
	world_close(&w);
}

static void changed_pod_networks_of_the_node_reach_the_sinks(void **state)
{
	char text[CIDR_TEXT_LEN];
	struct world w;

	(void)state;
	world_open(&w, "NodeCIDR");
	(void)put(&w, NODE("", "10.244.1.0/24", "192.0.2.1"));
	assert_true(w.node_info.env.has_pod_cidr[FAMILY_IPV4]);
	assert_true(put(&w, NODE("", "10.244.7.0/24", "192.0.2.1")) &
		    NODE_INFO_ENVIRONMENT);
	cidr_format(&w.node_info.env.pod_cidr[FAMILY_IPV4], text);
	assert_string_equal(text, "10.244.7.0/24");
	world_close(&w);
}

static void a_deleted_node_keeps_its_last_facts(void **state)
{
	struct world w;
	struct addr ip;

	(void)state;
	world_open(&w, "NodeCIDR");
	(void)put(&w, NODE("", "10.244.1.0/24", "192.0.2.1"));
	(void)cluster_del(w.cluster, OBJECT_NODE, "", "node-0");
	assert_int_equal(node_info_update(&w.node_info, w.cluster) &
				 NODE_INFO_ENVIRONMENT,
			 0);
	assert_true(w.node_info.env.has_pod_cidr[FAMILY_IPV4]);
	assert_int_equal(addr_parse("192.0.2.1", &ip), 0);
	assert_true(addr_equal(&w.node_info.options.node_ip[FAMILY_IPV4], &ip));
	/* It comes back as another one. */
	(void)put(&w, NODE("", "10.244.1.0/24", "192.0.2.2"));
	assert_int_equal(addr_parse("192.0.2.2", &ip), 0);
	assert_true(addr_equal(&w.node_info.options.node_ip[FAMILY_IPV4], &ip));
	world_close(&w);
}

/* Addresses in there may be of a pod, or of this node. */
static void a_service_network_that_overlaps_others_is_logged_and_not_dropped(void **state)
{
	static const char cidrs[] =
		"apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\n"
		"metadata: {name: kubernetes}\n"
		"spec: {cidrs: [10.244.0.0/16]}\n";
	struct world w;
	char *log;

	(void)state;
	world_open(&w, "NodeCIDR");
	(void)put(&w, cidrs);
	assert_int_equal(w.node_info.env.n_service_cidrs, 1);
	capture_start();
	(void)put(&w, NODE("", "10.244.7.0/24", "192.0.2.1"));
	(void)put(&w, NODE(ZONE("za"), "10.244.7.0/24", "192.0.2.1"));
	log = capture_end();
	assert_int_equal(w.node_info.env.n_service_cidrs, 0);
	assert_int_equal(capture_count(log, "10.244.0.0/16 overlaps 10.244.7.0/24"), 1);
	(void)put(&w, NODE("", "10.1.7.0/24", "10.244.0.1"));
	assert_int_equal(w.node_info.env.n_service_cidrs, 0);
	(void)put(&w, NODE("", "10.1.7.0/24", "192.0.2.1"));
	assert_int_equal(w.node_info.env.n_service_cidrs, 1);
	world_close(&w);
}

static unsigned set_hosts(struct world *w, const char *const *texts, size_t n)
{
	struct addr hosts[4];

	for (size_t i = 0; i < n; i++)
		assert_int_equal(addr_parse(texts[i], &hosts[i]), 0);
	node_info_set_hosts(&w->node_info, hosts, n);
	return node_info_update(&w->node_info, w->cluster);
}

/*
 * Of one address of a family the sinks need no list.  From several to others, no Service
 * is planned again.
 */
static void several_addresses_of_node_ports_reach_the_sinks(void **state)
{
	static const char *const first[] = {"192.0.2.1", "192.0.2.2", "2001:db8::1"};
	static const char *const others[] = {"192.0.2.1", "192.0.2.3", "2001:db8::1"};
	const struct environment *env;
	struct world w;

	(void)state;
	world_open(&w, "ClusterCIDR");
	env = &w.node_info.env;
	w.node_info.nodeports.all = true;
	w.node_info.nodeports.primary = false;
	assert_true(set_hosts(&w, first, 1) & NODE_INFO_PLAN);
	assert_int_equal(env->n_node_addresses[FAMILY_IPV4], 0);
	assert_int_equal(set_hosts(&w, first, 3), NODE_INFO_PLAN | NODE_INFO_ENVIRONMENT);
	assert_int_equal(env->n_node_addresses[FAMILY_IPV4], 2);
	assert_int_equal(env->n_node_addresses[FAMILY_IPV6], 0);
	assert_int_equal(set_hosts(&w, first, 3), 0);
	assert_int_equal(set_hosts(&w, others, 3), NODE_INFO_ADDRESSES);
	assert_int_equal(set_hosts(&w, others, 1),
			 NODE_INFO_PLAN | NODE_INFO_ENVIRONMENT);
	assert_int_equal(env->n_node_addresses[FAMILY_IPV4], 0);
	world_close(&w);
}

static void a_cluster_ip_on_an_interface_is_not_the_nodes(void **state)
{
	static const char cidrs[] =
		"apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\n"
		"metadata: {name: kubernetes}\n"
		"spec: {cidrs: [10.96.0.0/16]}\n";
	static const char *const hosts[] = {"10.96.0.1", "192.0.2.1", "192.0.2.2"};
	const struct environment *env;
	struct addr first;
	struct world w;

	(void)state;
	world_open(&w, "ClusterCIDR");
	env = &w.node_info.env;
	w.node_info.nodeports.all = true;
	w.node_info.nodeports.primary = false;
	(void)set_hosts(&w, hosts, N_ELEMENTS(hosts));
	assert_int_equal(env->n_node_addresses[FAMILY_IPV4], 3);
	assert_true(put(&w, cidrs) & NODE_INFO_ADDRESSES);
	assert_int_equal(env->n_node_addresses[FAMILY_IPV4], 2);
	assert_int_equal(addr_parse("192.0.2.1", &first), 0);
	assert_true(addr_equal(&env->node_addresses[FAMILY_IPV4][0], &first));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_changed_zone_plans_all_services_again),
		cmocka_unit_test(changed_pod_networks_of_the_node_reach_the_sinks),
		cmocka_unit_test(a_deleted_node_keeps_its_last_facts),
		cmocka_unit_test(
			a_service_network_that_overlaps_others_is_logged_and_not_dropped),
		cmocka_unit_test(several_addresses_of_node_ports_reach_the_sinks),
		cmocka_unit_test(a_cluster_ip_on_an_interface_is_not_the_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
