/*
 * Eight incidents, and the one command that names the cause of each.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "rules/nft/nft_layout.h"
#include "tests/kernel/await.h"
#include "tests/kernel/affinity_fill.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"
#include "tests/unit/object_set.h"

#define DEAD_SERVER "http://127.0.0.1:1"

static const struct manifest_service web = {.name = "web",
					    .ip = "svc10",
					    .ports = "p 80>80/TCP",
					    .endpoints = "pod1R"};

static void await(struct instance *in, bool (*holds)(struct instance *in),
		  const char *what)
{
	uint64_t start_us = world_now_us();

	while (!holds(in)) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(in, "%s", what);
		world_sleep_ms(20);
	}
}

static bool web_answers(struct instance *in)
{
	struct target t = target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);

	return probe(in->world, &t, 50).outcome == PROBE_ANSWERED;
}

static void explains(struct instance *in, const char *text, const char *more)
{
	struct addr addr = world_addr("svc10", FAMILY_IPV4);
	char name[ADDR_TEXT_LEN];
	_cleanup_(freep) char *command =
		xasprintf("explain %s:80", addr_format(&addr, name));

	await_output(in, command, 0, (const char *const[]){text, more, NULL});
}

static void rules_flushed_by_another_program(void **state)
{
	struct instance *in = *state;

	instance_put(in, &web, 1);
	world_must(in->world, PLACE_NODE, "nft flush ruleset");
	await(in, web_answers, "the rules are not restored");
	await_output(in, "status", 0,
		     (const char *const[]){"in sync since",
					   "objects      from manifests\n", "last repair",
					   "ago), of a change by nft (pid ",
					   "): 2 tables, ", " rules, ", NULL});
	await_output(in, "events", 0,
		     (const char *const[]){"Repaired: changed by nft (pid ",
					   ", restored 2 tables, ", " ms\n", NULL});
}

static void the_last_endpoint_is_gone(void **state)
{
	struct manifest_service down = web;
	struct instance *in = *state;

	instance_put(in, &web, 1);
	down.endpoints = "pod1N";
	instance_put(in, &down, 1);
	explains(in, "from external: reject: no usable endpoint", "not ready");
	await_output(
		in, "events test/web", 0,
		(const char *const[]){"test/web:p TCP IPv4  NoEndpoints (EndpointSlice "
				      "test/web-",
				      "/objects.yaml, ", " ms)\n", NULL});
}

static void leftovers_of_kube_proxy(void **state)
{
	struct instance *in = *state;

	world_must(in->world, PLACE_NODE,
		   "nft add table ip kube-proxy && nft add chain ip kube-proxy services");
	await_output(in, "status", 0,
		     (const char *const[]){
			     "warning      this host: rules of kube-proxy are still "
			     "there (ip kube-proxy services): they may win; sluice "
			     "cleanup --kube-proxy removes them",
			     NULL});
	world_must(in->world, PLACE_NODE, "nft delete table ip kube-proxy");
}

static void forwarding_is_off(void **state)
{
	struct instance *in = *state;

	instance_put(in, &web, 1);
	world_must(in->world, PLACE_NODE, "echo 0 >/proc/sys/net/ipv4/ip_forward");
	assert_false(web_answers(in));
	explains(in,
		 "warning: net/ipv4/ip_forward is 0: the kernel forwards nothing to "
		 "endpoints; sysctl -w net/ipv4/ip_forward=1 turns it on",
		 "not looked at: ");
	world_must(in->world, PLACE_NODE, "echo 1 >/proc/sys/net/ipv4/ip_forward");
	await(in, web_answers, "it does not answer again");
}

static void a_service_cidr_overlaps_the_pods(void **state)
{
	struct instance *in = *state;

	instance_put_yaml(in, "---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\n"
			      "metadata: {name: wrong}\nspec: {cidrs: [10.180.0.0/16]}\n"
			      "---\n");
	await_output(
		in, "status", 0,
		(const char *const[]){
			"warning      ServiceCIDR 10.180.0.0/16 overlaps 10.0.0.0/8, a "
			"network or address of pods or of this node: ",
			"the networks must be separate", NULL});
	instance_put(in, &web, 1);
}

static void port_names_do_not_meet(void **state)
{
	struct instance *in = *state;
	struct addr addr = world_addr("svc10", FAMILY_IPV4);
	char name[ADDR_TEXT_LEN];
	_cleanup_(freep) char *yaml = xasprintf(
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: "
		"test}\nspec: {clusterIP: %s, ports: [{name: http, port: 80}]}\n"
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		"metadata: {name: web-x, namespace: test, labels: "
		"{kubernetes.io/service-name: web}}\naddressType: IPv4\n"
		"ports: [{name: web, port: 80}]\nendpoints: [{addresses: "
		"[10.180.0.1]}]\n---\n",
		addr_format(&addr, name));

	instance_put_yaml(in, yaml);
	explains(in, "warning: slice web-x has 1 endpoint, but no TCP port called http",
		 "reject: no usable endpoint");
}

static void the_api_server_is_away_after_a_reboot(void **state)
{
	const struct saved_source source = {WORLD_NODE_NAME, DEAD_SERVER};
	_cleanup_(buf_fini) struct buf yaml = BUF_INIT;
	_cleanup_(freep) char *dir = NULL;
	struct instance *in = *state;
	struct object_set set = {0};

	dir = xasprintf("%s/state", in->world->dir);
	manifest_add_node(&yaml);
	manifest_add_service(&yaml, &web);
	object_set_read(&set, buf_string(&yaml));
	assert_int_equal(object_set_save(&set, dir, &source, clock_wall_us()), 0);
	object_set_fini(&set);
	assert_int_equal(instance_end(in, SIGTERM), 0);
	world_must(in->world, PLACE_NODE, "nft flush ruleset");
	in->master = DEAD_SERVER;
	in->state_dir = dir;
	instance_launch(in, NULL);
	await(in, web_answers, "the last known objects are not served");
	await_output(in, "status", 1,
		     (const char *const[]){
			     "NOT IN SYNC since",
			     "problem      runs from the last known objects, of ",
			     "the API server has not been read yet", "healthy      yes",
			     NULL});
	assert_int_equal(instance_end(in, SIGTERM), 0);
	in->master = in->state_dir = NULL;
	instance_start(in, NULL);
}

static void a_full_affinity_map(void **state)
{
	struct manifest_service sticky = web;
	struct instance *in = *state;
	int err;

	sticky.endpoints = "pod1R pod2R";
	sticky.affinity_sec = 10800;
	instance_put(in, &sticky, 1);
	assert_int_equal(instance_end(in, SIGTERM), 0);
	world_enter(in->world, PLACE_NODE);
	err = affinity_fill(NFT_LEARNED_SIZE);
	world_leave(in->world);
	assert_int_equal(err, 0);
	instance_start(in, NULL);
	await_output(in, "status", 0,
		     (const char *const[]){
			     "warning      the affinity map of IPv4 is full, with "
			     "1048576 clients: other clients get any endpoint "
			     "each time until some time out; shorten "
			     "sessionAffinityConfig's timeoutSeconds",
			     NULL});
	assert_int_equal(instance_end(in, SIGTERM), 0);
	world_must(in->world, PLACE_NODE, "nft flush ruleset");
	instance_start(in, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_flushed_by_another_program),
		cmocka_unit_test(the_last_endpoint_is_gone),
		cmocka_unit_test(leftovers_of_kube_proxy),
		cmocka_unit_test(forwarding_is_off),
		cmocka_unit_test(a_service_cidr_overlaps_the_pods),
		cmocka_unit_test(port_names_do_not_meet),
		cmocka_unit_test(the_api_server_is_away_after_a_reboot),
		cmocka_unit_test(a_full_affinity_map),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
