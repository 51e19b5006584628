/*
 * Userspace mode: UDP flows, and clients that wait for an endpoint, continue in the next
 * process.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kernel/await.h"
#include "tests/kernel/fd_store.h"
#include "tests/kernel/handover.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define N_SOCKETS 40
#define N_ROUNDS  3

static const struct manifest_service dns = {.name = "dns",
					    .ip = "svc53",
					    .ports = "p 53>53/UDP",
					    .endpoints = "pod1R pod2R pod3R far1R"};

/* The same with an endpoint of the Service that clients wait for. */
static const struct manifest_service asleep[] = {
	{.name = "asleep",
	 .ip = "svc60",
	 .ports = "p 80>80/TCP",
	 .annotations = "sluice.io/hold: 60s"},
};
static const struct manifest_service awake[] = {
	{.name = "asleep",
	 .ip = "svc60",
	 .ports = "p 80>80/TCP",
	 .annotations = "sluice.io/hold: 60s",
	 .endpoints = "pod1R"},
};

struct client {
	struct target target;
	int fd;
	struct answer first;
};

/* Half of them over IPv6. */
static void open_clients(struct instance *sluice, struct client *clients)
{
	for (int i = 0; i < N_SOCKETS; i++) {
		struct client *c = &clients[i];

		c->target = target_named("client", "svc53:53", IPPROTO_UDP,
					 i % 2 ? FAMILY_IPV6 : FAMILY_IPV4);
		c->fd = probe_open(sluice->world, &c->target, PROBE_PATIENCE_MS,
				   &c->first);
		assert_true(c->fd >= 0);
		assert_int_equal(c->first.outcome, PROBE_ANSWERED);
	}
}

static void assert_same_flow(const struct client *c)
{
	struct answer a = probe_ask(c->fd, &c->target, PROBE_PATIENCE_MS);
	char before[ANSWER_TEXT_LEN], after[ANSWER_TEXT_LEN];

	if (a.outcome != PROBE_ANSWERED || !addr_equal(&a.backend, &c->first.backend) ||
	    a.source_port != c->first.source_port)
		fail_msg("first %s, now %s", answer_format(&c->first, before),
			 answer_format(&a, after));
}

/* Their sockets arrive, and none of their datagrams starts a flow in between. */
static void udp_flows_keep_their_endpoints(void **state)
{
	struct instance *sluice = *state;
	struct client clients[N_SOCKETS];

	instance_put(sluice, &dns, 1);
	open_clients(sluice, clients);
	for (int round = 0; round < N_ROUNDS; round++) {
		assert_int_equal(await_end(sluice, handover_start(sluice)), 0);
		await_log(sluice, "%d UDP flows and waiting clients continue", N_SOCKETS);
		for (int i = 0; i < N_SOCKETS; i++)
			assert_same_flow(&clients[i]);
	}
	for (int i = 0; i < N_SOCKETS; i++)
		probe_close(clients[i].fd);
}

/* In a process of its own: the result is its exit status. */
static pid_t start_waiting_client(struct instance *sluice)
{
	struct target t = target_named("client", "svc60:80", IPPROTO_TCP, FAMILY_IPV4);
	pid_t pid = fork();

	if (pid == 0) {
		struct answer a = probe(sluice->world, &t, WORLD_PATIENCE_US / 1000);

		_exit(a.outcome == PROBE_ANSWERED ? 0 : 1 + (int)a.outcome);
	}
	assert_true(pid > 0);
	return pid;
}

static void await_waiting(struct instance *sluice)
{
	uint64_t start_us = world_now_us();

	while (handover_n_connections(sluice, "svc60") != 1) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "no connection to svc60");
		world_sleep_ms(10);
	}
}

static void clients_that_wait_for_an_endpoint_get_it_from_the_next_process(void **state)
{
	struct instance *sluice = *state;
	int status;
	pid_t client;

	instance_put(sluice, asleep, N_ELEMENTS(asleep));
	client = start_waiting_client(sluice);
	await_waiting(sluice);
	for (int round = 0; round < 2; round++) {
		/* it has no connection any more */
		assert_int_equal(await_end(sluice, handover_start(sluice)), 0);
	}
	instance_put(sluice, awake, N_ELEMENTS(awake));
	assert_int_equal(waitpid(client, &status, 0), client);
	assert_int_equal(status, 0);
}

/* Not after a SIGKILL: nothing has them then. */
static void flows_and_waiting_clients_survive_a_restart_under_a_supervisor(void **state)
{
	struct instance *sluice = *state;
	struct manifest_service both[] = {dns, asleep[0]};
	struct client clients[N_SOCKETS];
	struct fd_store *store;
	pid_t client;
	int status;

	store = handover_start_store(sluice);
	instance_put(sluice, both, 2);
	open_clients(sluice, clients);
	client = start_waiting_client(sluice);
	await_waiting(sluice);
	for (int round = 0; round < N_ROUNDS; round++) {
		(void)instance_end(sluice, SIGTERM);
		instance_start(sluice, NULL);
		for (int i = 0; i < N_SOCKETS; i++)
			assert_same_flow(&clients[i]);
	}
	both[1] = awake[0];
	instance_put(sluice, both, 2);
	assert_int_equal(waitpid(client, &status, 0), client);
	assert_int_equal(status, 0);
	for (int i = 0; i < N_SOCKETS; i++)
		probe_close(clients[i].fd);
	handover_end_store(sluice, store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_flows_keep_their_endpoints),
		cmocka_unit_test(
			clients_that_wait_for_an_endpoint_get_it_from_the_next_process),
		cmocka_unit_test(
			flows_and_waiting_clients_survive_a_restart_under_a_supervisor),
	};

	(void)setenv("SLUICE_TEST_MODE", "userspace", 1);
	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
