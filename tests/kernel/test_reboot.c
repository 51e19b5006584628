/*
 * A node starts while its API server is away: it serves the last known objects.
 */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/await.h"
#include "tests/kernel/http_get.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"
#include "tests/unit/fake_server.h"
#include "tests/unit/kube_run.h"
#include "tests/unit/object_set.h"

#define HEALTH_PORT  10256
#define DEAD_SERVER  "http://127.0.0.1:1"
#define N_SERVICES   10000
#define N_ROUNDS_MAX 10
#define LIMIT_US     1000000 /* from exec to the first answer */
#define SLOW_BUILD   6	     /* how many times slower the sanitizers may make it */

/* A Service with five endpoints, as an API server has it. */
static void add_bulk(struct object_set *set, unsigned i)
{
	unsigned a = i / 250, b = i % 250 + 1;
	_cleanup_(buf_fini) struct buf endpoints = BUF_INIT;
	_cleanup_(freep) char *service = xasprintf(
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":"
		"\"bulk-%u\",\"namespace\":\"many\",\"uid\":"
		"\"00000000-0000-4000-8000-%012u\"},\"spec\":{\"clusterIP\":"
		"\"172.29.%u.%u\",\"ports\":[{\"name\":\"http\",\"port\":80}]}}",
		i, i, a, b);
	_cleanup_(freep) char *slice = NULL;

	for (unsigned e = 0; e < 5; e++)
		buf_printf(&endpoints,
			   "%s{\"addresses\":[\"10.%u.%u.%u\"],\"nodeName\":"
			   "\"node-%u\",\"targetRef\":{}}",
			   e ? "," : "", 190 + e, a, b, e);
	slice = xasprintf(
		"{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\","
		"\"metadata\":{\"name\":\"bulk-%u-x\",\"namespace\":\"many\","
		"\"labels\":{\"kubernetes.io/service-name\":\"bulk-%u\"}},"
		"\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"port\":8080}],"
		"\"endpoints\":[%s]}",
		i, i, buf_string(&endpoints));
	object_set_read_json(set, service);
	object_set_read_json(set, slice);
}

/* svc10 is served by pod1; n more Services have endpoints that do not exist. */
static void save_objects(const struct instance *sluice, const char *server, unsigned n)
{
	static const struct manifest_service web = {.name = "web",
						    .ip = "svc10",
						    .ports = "p 80>80",
						    .endpoints = "pod1R"};
	const struct saved_source source = {.node = WORLD_NODE_NAME, .cluster = server};
	_cleanup_(buf_fini) struct buf yaml = BUF_INIT;
	struct object_set set = {0};

	manifest_add_node(&yaml);
	manifest_add_service(&yaml, &web);
	object_set_read(&set, buf_string(&yaml));
	for (unsigned i = 0; i < n; i++)
		add_bulk(&set, i);
	assert_int_equal(object_set_save(&set, sluice->state_dir, &source,
					 clock_wall_us()),
			 0);
	object_set_fini(&set);
}

static bool answers(const struct instance *sluice)
{
	struct target t = target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);

	return probe(sluice->world, &t, 20).outcome == PROBE_ANSWERED;
}

/* As after a restart of the host. */
static void lose_rules(const struct instance *sluice)
{
	world_must(sluice->world, PLACE_NODE, "nft flush ruleset");
	(void)unlink(sluice->log);
}

static uint64_t await_traffic(struct instance *sluice)
{
	uint64_t start_us = world_now_us();

	while (!answers(sluice))
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "no traffic");
	return world_now_us() - start_us;
}

static void a_node_that_starts_without_its_api_server_serves_within_a_second(void **state)
{
	struct instance *sluice = *state;
	uint64_t limit_us =
		LIMIT_US * world_patience() * (instance_is_release() ? 1 : SLOW_BUILD);
	uint64_t took_us = UINT64_MAX;

	save_objects(sluice, DEAD_SERVER, N_SERVICES);
	/* the quickest one shows our time, the others a busy machine */
	for (int i = 0; i < N_ROUNDS_MAX && took_us > limit_us; i++) {
		(void)instance_end(sluice, SIGKILL);
		lose_rules(sluice);
		assert_false(answers(sluice));
		instance_launch(sluice, NULL);
		took_us = await_traffic(sluice);
		print_message("%u Services with 5 endpoints: traffic after %.0f ms\n",
			      N_SERVICES, (double)took_us / 1000);
	}
	if (took_us > limit_us)
		instance_fail(sluice, "more than %.0f ms", (double)limit_us / 1000);
	await_log(sluice, "ready: ");
	assert_int_equal(http_get(sluice->world, HEALTH_PORT, "/livez", NULL), 200);
	assert_int_equal(http_get(sluice->world, HEALTH_PORT, "/healthz", NULL), 200);
	assert_int_equal(http_get(sluice->world, HEALTH_PORT, "/readyz", NULL), 503);
	await_text(sluice, "status", 1, "runs from the last known objects, of ");
	await_text(sluice, "status", 1,
		   "until it has been read, the last known ones of ");
	assert_int_equal(instance_end(sluice, SIGTERM), 0);
	(void)await_traffic(sluice);
}

static void where_rules_serve_the_server_gets_time(void **state)
{
	struct instance *sluice = *state;
	uint64_t start_us;

	save_objects(sluice, DEAD_SERVER, 0);
	(void)unlink(sluice->log);
	start_us = world_now_us();
	instance_launch(sluice, NULL);
	await_log(sluice, "state: programming the last known objects");
	assert_in_range(world_now_us() - start_us, 9000000, WORLD_PATIENCE_US);
	assert_int_equal(instance_end(sluice, SIGTERM), 0);
}

static void a_damaged_file_costs_one_line(void **state)
{
	struct instance *sluice = *state;

	save_objects(sluice, DEAD_SERVER, 0);
	world_must(sluice->world, PLACE_NODE, "truncate -s -5 %s/objects",
		   sluice->state_dir);
	lose_rules(sluice);
	instance_launch(sluice, NULL);
	await_log(sluice, "objects is damaged; it is not used");
	await_text(sluice, "status", 1, "nothing read yet: ");
	assert_false(answers(sluice));
	assert_int_equal(instance_end(sluice, SIGTERM), 0);
	world_must(sluice->world, PLACE_NODE, "[ $(grep -c state: %s) = 1 ]",
		   sluice->log);
}

static void a_file_of_another_server_is_not_used(void **state)
{
	struct instance *sluice = *state;

	save_objects(sluice, "http://192.0.2.1:6443", 0);
	lose_rules(sluice);
	instance_launch(sluice, NULL);
	await_log(sluice, "objects is of another API server; it is not used");
	assert_false(answers(sluice));
	assert_int_equal(instance_end(sluice, SIGTERM), 0);
}

/* Runs an API server that has one Service, until it is killed. */
static pid_t run_server(struct ev_loop *loop)
{
	pid_t pid = fork();

	if (pid == 0) {
		ev_loop_fork(loop);
		(void)ev_run(loop, 0);
		_exit(1);
	}
	return pid;
}

static void the_first_lists_replace_them_and_are_saved(void **state)
{
	static const struct fake_answer script[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("new", "10.96.77.1")) END,
		 .is_body = true,
		 .end = FAKE_STALL},
		OTHERS,
	};
	struct instance *sluice = *state;
	struct ev_loop *loop = ev_loop_new(0);
	struct fake_server *server;
	pid_t pid;

	world_enter(sluice->world, PLACE_NODE);
	server = fake_server_new(loop, script, N_ELEMENTS(script));
	world_leave(sluice->world);
	sluice->master = fake_server_url(server);
	save_objects(sluice, sluice->master, 0);
	lose_rules(sluice);
	instance_launch(sluice, NULL);
	(void)await_traffic(sluice); /* the server accepts, and does not answer yet */
	pid = run_server(loop);
	await_log(sluice, "state: the API server has been read");
	await_text(sluice, "status", 0, "in sync");
	assert_false(answers(sluice));
	/* a few seconds after the change, also with the release build's system call filter */
	await_shell(sluice, "grep -aqw new %s/objects", sluice->state_dir);
	world_must(sluice->world, PLACE_NODE, "! grep -aq web %s/objects",
		   sluice->state_dir);
	assert_int_equal(instance_end(sluice, SIGTERM), 0);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sluice->master = DEAD_SERVER;
	fake_server_free(server);
	ev_loop_destroy(loop);
}

static int setup(void **state)
{
	struct instance *sluice;

	(void)world_setup(state);
	sluice = instance_new(*state);
	sluice->master = DEAD_SERVER;
	sluice->state_dir = xasprintf("%s/state", sluice->world->dir);
	*state = sluice;
	return 0;
}

static int teardown(void **state)
{
	struct instance *sluice = *state;
	char *dir = (char *)(uintptr_t)sluice->state_dir;
	int err = instance_teardown(state);

	free(dir);
	return err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_node_that_starts_without_its_api_server_serves_within_a_second),
		cmocka_unit_test(where_rules_serve_the_server_gets_time),
		cmocka_unit_test(a_damaged_file_costs_one_line),
		cmocka_unit_test(a_file_of_another_server_is_not_used),
		cmocka_unit_test(the_first_lists_replace_them_and_are_saved),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
