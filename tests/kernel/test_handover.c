/*
 * Userspace mode: the next process gets the listeners of the one before it, from
 * it or from its supervisor, and no client notices.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/fd_store.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/load.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define N_FLOWS	    100
#define PER_SECOND  1000
#define N_ROUNDS    3
#define MAX_LOST    100 /* open when one of the processes was killed */
#define SNAPSHOT_MS 2500

static const char *const take_over[] = {"--cluster-cidr", WORLD_POD_CIDRS, "--take-over",
					NULL};

static const struct manifest_service services[] = {
	{.name = "web",
	 .type = "NodePort",
	 .ip = "svc10",
	 .ports = "p 80>80@3001/TCP",
	 .endpoints = "pod1R pod2R pod3R far1R"},
	{.name = "dns",
	 .ip = "svc53",
	 .ports = "p 53>53/UDP",
	 .endpoints = "pod1R pod2R pod3R far1R"},
	{.name = "sticky",
	 .ip = "svc41",
	 .ports = "p 80>80/TCP",
	 .affinity_sec = 600,
	 .endpoints = "pod1R pod2R pod3R"},
};

static void put_all(struct instance *sluice)
{
	instance_put(sluice, services, N_ELEMENTS(services));
}

static struct load *start_load(struct instance *sluice, unsigned n_flows)
{
	const struct load_plan plan = {
		.target = target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4),
		.n_flows = n_flows,
		.per_second = PER_SECOND,
	};

	return load_start(sluice->world, &plan);
}

static void end_load(struct load *load, const char *what, unsigned n_flows)
{
	struct load_result r = load_stop(load);

	print_message("%s: %lu connections, %u flows asked %lu times, worst %.1f ms\n",
		      what, (unsigned long)r.n_connections, r.n_flows_open,
		      (unsigned long)r.n_asked, (double)r.worst_us / 1000);
	if (r.n_flows_broken || r.n_refused || r.n_failed || r.n_silent)
		fail_msg("%s: %u flows broken, connections: %lu refused, %lu failed, %lu "
			 "unanswered; first: %s",
			 what, r.n_flows_broken, (unsigned long)r.n_refused,
			 (unsigned long)r.n_failed, (unsigned long)r.n_silent,
			 r.first_error);
	assert_int_equal(r.n_flows_open, n_flows);
}

static struct addr backend_of(struct instance *sluice, const char *from)
{
	struct target t = target_named(from, "svc41:80", IPPROTO_TCP, FAMILY_IPV4);
	struct answer a = probe(sluice->world, &t, 2000);

	if (a.outcome != PROBE_ANSWERED)
		instance_fail(sluice, "%s: svc41 does not answer", from);
	return a.backend;
}

static void await_command(struct instance *sluice, const char *command, const char *text)
{
	uint64_t start_us = world_now_us();

	for (;;) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;

		if (instance_command(sluice, command, &out) == 0 &&
		    strstr(buf_string(&out), text))
			return;
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "%s: %s", command, buf_string(&out));
		world_sleep_ms(10);
	}
}

__attribute__((format(printf, 2, 3))) static void await_log(struct instance *sluice,
							    const char *fmt, ...)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	uint64_t start_us = world_now_us();
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	while (world_run(sluice->world, PLACE_NODE, "grep -q '%s' %s", buf_string(&text),
			 sluice->log)) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "not in the log: %s", buf_string(&text));
		world_sleep_ms(10);
	}
}

static void await_end(struct instance *sluice, pid_t pid)
{
	uint64_t start_us = world_now_us();
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			instance_fail(sluice, "the old process did not end");
		}
		world_sleep_ms(5);
	}
	assert_int_equal(status, 0);
}

/* Connections to the cluster IP, as `get services` shows them. */
static unsigned count_of(struct instance *sluice, const char *name)
{
	struct addr ip = world_addr(name, FAMILY_IPV4);
	char text[ADDR_TEXT_LEN];
	_cleanup_(freep) char *wanted =
		xasprintf("\"address\": \"%s\"", addr_format(&ip, text));
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	const char *at;
	unsigned n = 0;

	await_command(sluice, "get services -o json", wanted);
	(void)instance_command(sluice, "get services -o json", &out);
	at = strstr(buf_string(&out), wanted);
	at = at ? strstr(at, "\"connections\"") : NULL;
	if (!at || sscanf(at, "\"connections\": %u", &n) != 1)
		instance_fail(sluice, "no count: %s", buf_string(&out));
	return n;
}

/* Starts another daemon beside it, and returns the old one's process. */
static pid_t start_successor(struct instance *sluice)
{
	pid_t old = sluice->pid;

	sluice->pid = 0;
	instance_launch(sluice, take_over);
	await_log(sluice, "pid %d serves all Services now", (int)sluice->pid);
	put_all(sluice);
	return old;
}

static void a_successor_takes_over_and_no_client_notices(void **state)
{
	struct instance *sluice = *state;
	struct load *load;
	pid_t old[N_ROUNDS];

	put_all(sluice);
	load = start_load(sluice, N_FLOWS);
	for (int i = 0; i < N_ROUNDS; i++) {
		load_wait(load, PER_SECOND / 5);
		old[i] = start_successor(sluice);
		load_wait(load, PER_SECOND / 2);
	}
	assert_int_equal(waitpid(old[0], NULL, WNOHANG), 0); /* it has the flows */
	end_load(load, "hand-over", N_FLOWS);
	for (int i = 0; i < N_ROUNDS; i++)
		await_end(sluice, old[i]);
}

/* ---- UDP flows, and clients that wait ---- */

#define N_SOCKETS 40

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
		c->fd = probe_open(sluice->world, &c->target, 2000, &c->first);
		assert_true(c->fd >= 0);
		assert_int_equal(c->first.outcome, PROBE_ANSWERED);
	}
}

static void assert_same_flow(const struct client *c)
{
	struct answer a = probe_ask(c->fd, &c->target, 2000);
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

	put_all(sluice);
	open_clients(sluice, clients);
	for (int round = 0; round < N_ROUNDS; round++) {
		await_end(sluice, start_successor(sluice));
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
		struct answer a = probe(sluice->world, &t, 30000);

		_exit(a.outcome == PROBE_ANSWERED ? 0 : 1 + (int)a.outcome);
	}
	assert_true(pid > 0);
	return pid;
}

static void await_waiting(struct instance *sluice)
{
	uint64_t start_us = world_now_us();

	while (count_of(sluice, "svc60") != 1) {
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
		pid_t old = sluice->pid;

		sluice->pid = 0;
		instance_launch(sluice, take_over);
		await_end(sluice, old); /* it has no connection any more */
	}
	instance_put(sluice, awake, N_ELEMENTS(awake));
	assert_int_equal(waitpid(client, &status, 0), client);
	assert_int_equal(status, 0);
}

static void affinity_and_counters_are_handed_over(void **state)
{
	static const char *const clients[] = {"client", "pod4", "far1", "node"};
	struct addr backends[N_ELEMENTS(clients)];
	struct instance *sluice = *state;

	put_all(sluice);
	for (size_t i = 0; i < N_ELEMENTS(clients); i++)
		backends[i] = backend_of(sluice, clients[i]);
	for (int round = 0; round < N_ROUNDS; round++) {
		await_end(sluice, start_successor(sluice));
		assert_int_equal(count_of(sluice, "svc41"), N_ELEMENTS(clients));
	}
	for (size_t i = 0; i < N_ELEMENTS(clients); i++) {
		struct addr now = backend_of(sluice, clients[i]);

		assert_true(addr_equal(&now, &backends[i]));
	}
}

/* The daemon that was to be relieved continues. */
static void a_successor_that_ends_too_early_changes_nothing(void **state)
{
	static const char *const nothing[] = {"--take-over", "--manifests",
					      "/nonexistent", NULL};
	struct instance *sluice = *state;
	pid_t old = sluice->pid;
	struct load *load;

	put_all(sluice);
	load = start_load(sluice, N_FLOWS);
	sluice->pid = 0;
	instance_launch(sluice, nothing);
	await_log(sluice, "takes over (pid %d)", (int)sluice->pid);
	(void)instance_end(sluice, SIGKILL);
	sluice->pid = old;
	put_all(sluice);
	load_wait(load, PER_SECOND / 5);
	end_load(load, "early end", N_FLOWS);
}

static void without_take_over_a_second_daemon_is_refused(void **state)
{
	struct instance *sluice = *state;
	pid_t old = sluice->pid;
	int status;

	sluice->pid = 0;
	instance_launch(sluice, NULL);
	assert_int_equal(waitpid(sluice->pid, &status, 0), sluice->pid);
	sluice->pid = old;
	assert_int_equal(WEXITSTATUS(status), 1);
	put_all(sluice);
}

/* ---- a supervisor that keeps descriptors ---- */

/* Not after a SIGKILL: nothing has them then. */
static void flows_and_waiting_clients_survive_a_restart_under_a_supervisor(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *path = xasprintf("%s/notify", sluice->world->dir);
	struct manifest_service both[] = {services[1], asleep[0]};
	struct client clients[N_SOCKETS];
	struct fd_store *store;
	pid_t client;
	int status;

	(void)instance_end(sluice, SIGTERM);
	store = fd_store_start(path);
	sluice->before_exec = fd_store_pass;
	instance_start(sluice, NULL);
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
	(void)instance_end(sluice, SIGTERM);
	sluice->before_exec = NULL;
	fd_store_stop(store);
	instance_start(sluice, NULL);
}

/* Only connections that the killed process had accepted are lost. */
static void kill_9_under_a_supervisor_that_keeps_sockets_refuses_no_client(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *path = xasprintf("%s/notify", sluice->world->dir);
	struct fd_store *store;
	struct load *load;
	struct load_result r;

	(void)instance_end(sluice, SIGTERM);
	store = fd_store_start(path);
	sluice->before_exec = fd_store_pass;
	instance_start(sluice, NULL);
	put_all(sluice);
	load = start_load(sluice, 0);
	for (int i = 0; i < N_ROUNDS; i++) {
		load_wait(load, PER_SECOND / 5);
		(void)instance_end(sluice, i == 1 ? SIGTERM : SIGKILL);
		instance_start(sluice, NULL);
		load_wait(load, PER_SECOND / 2);
	}
	r = load_stop(load);
	print_message("kill -9: %lu connections, %lu lost with the process, worst %.1f "
		      "ms\n",
		      (unsigned long)r.n_connections, (unsigned long)r.n_failed,
		      (double)r.worst_us / 1000);
	if (r.n_refused || r.n_silent || r.n_failed > MAX_LOST)
		fail_msg("%lu refused, %lu failed, %lu unanswered; first: %s",
			 (unsigned long)r.n_refused, (unsigned long)r.n_failed,
			 (unsigned long)r.n_silent, r.first_error);
	(void)instance_end(sluice, SIGTERM);
	sluice->before_exec = NULL;
	fd_store_stop(store);
	instance_start(sluice, NULL);
}

static void affinity_survives_kill_9_and_a_damaged_state_is_left_out(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *path = xasprintf("%s/notify", sluice->world->dir);
	struct fd_store *store;
	struct addr before, after;

	(void)instance_end(sluice, SIGTERM);
	store = fd_store_start(path);
	sluice->before_exec = fd_store_pass;
	instance_start(sluice, NULL);
	put_all(sluice);
	before = backend_of(sluice, "pod4");
	world_sleep_ms(SNAPSHOT_MS); /* what a kill may lose */
	for (int round = 0; round < N_ROUNDS; round++) {
		(void)instance_end(sluice, SIGKILL);
		instance_start(sluice, NULL);
		put_all(sluice);
		after = backend_of(sluice, "pod4");
		assert_true(addr_equal(&before, &after));
		world_sleep_ms(SNAPSHOT_MS);
	}
	(void)instance_end(sluice, SIGKILL);
	fd_store_damage_state(store);
	instance_start(sluice, NULL);
	await_log(sluice, "the saved state cannot be used: it is damaged");
	put_all(sluice);
	(void)backend_of(sluice, "pod4");
	(void)instance_end(sluice, SIGTERM);
	sluice->before_exec = NULL;
	fd_store_stop(store);
	instance_start(sluice, NULL);
}

/* Nothing would accept from it. */
static void the_store_has_no_socket_of_a_removed_service(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *path = xasprintf("%s/notify", sluice->world->dir);
	struct target t = target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	struct fd_store *store;
	size_t n_all;

	(void)instance_end(sluice, SIGTERM);
	store = fd_store_start(path);
	sluice->before_exec = fd_store_pass;
	instance_start(sluice, NULL);
	put_all(sluice);
	n_all = fd_store_n(store);
	instance_put_yaml(sluice, "");
	assert_true(fd_store_n(store) < n_all);
	assert_int_equal(probe(sluice->world, &t, 500).outcome, PROBE_REFUSED);
	put_all(sluice);
	/* and one that was removed while no daemon ran */
	(void)instance_end(sluice, SIGKILL);
	instance_write(sluice, "");
	instance_start(sluice, NULL);
	assert_int_equal(probe(sluice->world, &t, 500).outcome, PROBE_REFUSED);
	(void)instance_end(sluice, SIGTERM);
	sluice->before_exec = NULL;
	fd_store_stop(store);
	instance_start(sluice, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_take_over_a_second_daemon_is_refused),
		cmocka_unit_test(a_successor_that_ends_too_early_changes_nothing),
		cmocka_unit_test(a_successor_takes_over_and_no_client_notices),
		cmocka_unit_test(affinity_and_counters_are_handed_over),
		cmocka_unit_test(udp_flows_keep_their_endpoints),
		cmocka_unit_test(
			clients_that_wait_for_an_endpoint_get_it_from_the_next_process),
		cmocka_unit_test(
			flows_and_waiting_clients_survive_a_restart_under_a_supervisor),
		cmocka_unit_test(
			kill_9_under_a_supervisor_that_keeps_sockets_refuses_no_client),
		cmocka_unit_test(
			affinity_survives_kill_9_and_a_damaged_state_is_left_out),
		cmocka_unit_test(the_store_has_no_socket_of_a_removed_service),
	};

	(void)setenv("SLUICE_TEST_MODE", "userspace", 1);
	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
