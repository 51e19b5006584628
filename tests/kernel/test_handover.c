/*
 * Userspace mode: the next process gets the listeners of the one before it, from
 * it or from its supervisor, and no client notices.
 */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/await.h"
#include "tests/kernel/fd_store.h"
#include "tests/kernel/handover.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/load.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define N_FLOWS	   100
#define PER_SECOND 1000
#define N_ROUNDS   3
#define N_RESTARTS 2
#define N_SPARE	   100 /* descriptors for other things than connections, which change */

static const struct manifest_service services[] = {
	{.name = "web",
	 .type = "NodePort",
	 .ip = "svc10",
	 .ports = "p 80>80@3001/TCP",
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

	load_expect_unbroken(what, &r);
	assert_int_equal(r.n_flows_open, n_flows);
}

static struct addr backend_of(struct instance *sluice, const char *from)
{
	struct target t = target_named(from, "svc41:80", IPPROTO_TCP, FAMILY_IPV4);
	struct answer a = probe(sluice->world, &t, PROBE_PATIENCE_MS);

	if (a.outcome != PROBE_ANSWERED)
		instance_fail(sluice, "%s: svc41 does not answer", from);
	return a.backend;
}

/* Starts another daemon beside it, and returns the old one's process. */
static pid_t start_successor(struct instance *sluice)
{
	pid_t old = handover_start(sluice);

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
		assert_int_equal(await_end(sluice, old[i]), 0);
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
		assert_int_equal(await_end(sluice, start_successor(sluice)), 0);
		assert_int_equal(handover_n_connections(sluice, "svc41"),
				 N_ELEMENTS(clients));
	}
	for (size_t i = 0; i < N_ELEMENTS(clients); i++) {
		struct addr now = backend_of(sluice, clients[i]);

		assert_true(addr_equal(&now, &backends[i]));
	}
}

/*
 * The load ends its connections with a reset, and a kernel under load may drop one: then
 * only a probe shows that the other end is gone, and by default in two hours.
 */
static void probe_idle_connections_soon(const struct instance *sluice)
{
	assert_int_equal(world_run(sluice->world, PLACE_NODE,
				   "echo 3 >/proc/sys/net/ipv4/tcp_keepalive_time && "
				   "echo 1 >/proc/sys/net/ipv4/tcp_keepalive_intvl"),
			 0);
}

/* The daemon that was to be relieved continues. */
static void a_successor_that_ends_too_early_changes_nothing(void **state)
{
	static const char *const nothing[] = {"--take-over", "--manifests",
					      "/nonexistent", NULL};
	struct instance *sluice = *state;
	static const int signals[] = {SIGKILL, SIGTERM};
	pid_t old = sluice->pid;
	struct load *load;

	probe_idle_connections_soon(sluice);
	put_all(sluice);
	load = start_load(sluice, N_FLOWS);
	for (size_t i = 0; i < N_ELEMENTS(signals); i++) {
		sluice->pid = 0;
		instance_launch(sluice, nothing);
		await_log(sluice, "takes over (pid %d)", (int)sluice->pid);
		(void)instance_end(sluice, signals[i]);
		sluice->pid = old;
		put_all(sluice);
	}
	assert_false(has_logged(sluice, "changed local routes"));
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

static size_t n_descriptors(pid_t pid)
{
	_cleanup_(freep) char *path = xasprintf("/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

/* How many connections this costs at most: each accepted one has a descriptor. */
static size_t kill_it(struct instance *sluice, size_t n_idle)
{
	size_t n;

	assert_int_equal(kill(sluice->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(sluice->pid, NULL, WUNTRACED), sluice->pid);
	n = n_descriptors(sluice->pid) + N_SPARE;
	(void)instance_end(sluice, SIGKILL);
	return n > n_idle ? n - n_idle : 0;
}

/* Only connections that the killed process had accepted are lost. */
static void kill_9_under_a_supervisor_that_keeps_sockets_refuses_no_client(void **state)
{
	struct instance *sluice = *state;
	size_t n_idle, n_accepted = 0;
	struct fd_store *store;
	struct load *load;
	struct load_result r;

	store = handover_start_store(sluice);
	put_all(sluice);
	n_idle = n_descriptors(sluice->pid);
	load = start_load(sluice, 0);
	for (int i = 0; i < N_RESTARTS; i++) {
		load_wait(load, PER_SECOND / 5);
		n_accepted += kill_it(sluice, n_idle);
		instance_start(sluice, NULL);
		load_wait(load, PER_SECOND / 2);
	}
	r = load_stop(load);
	handover_end_store(sluice, store);
	print_message("kill -9: %lu connections, %lu lost with the process, of at most "
		      "%zu; worst %.1f ms\n",
		      (unsigned long)r.n_connections, (unsigned long)r.n_failed,
		      n_accepted, (double)r.worst_us / 1000);
	if (r.n_refused || r.n_silent || r.n_failed > n_accepted)
		fail_msg("%lu refused, %lu failed, %lu unanswered; first: %s",
			 (unsigned long)r.n_refused, (unsigned long)r.n_failed,
			 (unsigned long)r.n_silent, r.first_error);
}

/* It serves what it has accepted before it ends. */
static void sigterm_under_a_supervisor_that_keeps_sockets_loses_no_client(void **state)
{
	struct instance *sluice = *state;
	struct fd_store *store = handover_start_store(sluice);
	struct load *load;

	put_all(sluice);
	load = start_load(sluice, 0);
	for (int i = 0; i < N_RESTARTS; i++) {
		load_wait(load, PER_SECOND / 5);
		(void)instance_end(sluice, SIGTERM);
		instance_start(sluice, NULL);
	}
	load_wait(load, PER_SECOND / 5);
	end_load(load, "SIGTERM", 0);
	handover_end_store(sluice, store);
}

static void affinity_survives_kill_9_and_a_damaged_state_is_left_out(void **state)
{
	struct instance *sluice = *state;
	struct fd_store *store;
	struct addr before, after;
	size_t n_stored;

	store = handover_start_store(sluice);
	put_all(sluice);
	before = backend_of(sluice, "pod4");
	n_stored = fd_store_n(store);
	fd_store_await_state(store, 2); /* the first one may be older than the binding */
	for (int round = 0; round < N_ROUNDS; round++) {
		(void)instance_end(sluice, SIGKILL);
		instance_start(sluice, NULL);
		put_all(sluice);
		after = backend_of(sluice, "pod4");
		assert_true(addr_equal(&before, &after));
		fd_store_await_state(store, 1);
		assert_int_equal(fd_store_n(store),
				 n_stored); /* one state, the last one */
	}
	(void)instance_end(sluice, SIGKILL);
	fd_store_damage_state(store);
	instance_start(sluice, NULL);
	await_log(sluice, "the saved state cannot be used: it is damaged");
	put_all(sluice);
	(void)backend_of(sluice, "pod4");
	handover_end_store(sluice, store);
}

/* The store takes the message after the daemon has sent it; until then it has a socket. */
static void await_refusal(const struct instance *sluice, const struct target *t)
{
	uint64_t start_us = world_now_us();

	while (probe(sluice->world, t, 500).outcome != PROBE_REFUSED)
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			fail_msg("connections are still accepted");
}

/* Nothing would accept from it. */
static void the_store_has_no_socket_of_a_removed_service(void **state)
{
	struct instance *sluice = *state;
	struct target t = target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	struct fd_store *store;
	size_t n_all;

	store = handover_start_store(sluice);
	put_all(sluice);
	n_all = fd_store_n(store);
	instance_put_yaml(sluice, "");
	await_refusal(sluice, &t);
	assert_true(fd_store_n(store) < n_all);
	put_all(sluice);
	/* and one that was removed while no daemon ran */
	(void)instance_end(sluice, SIGKILL);
	instance_write(sluice, "");
	instance_start(sluice, NULL);
	await_refusal(sluice, &t);
	handover_end_store(sluice, store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_take_over_a_second_daemon_is_refused),
		cmocka_unit_test(a_successor_that_ends_too_early_changes_nothing),
		cmocka_unit_test(a_successor_takes_over_and_no_client_notices),
		cmocka_unit_test(affinity_and_counters_are_handed_over),
		cmocka_unit_test(
			kill_9_under_a_supervisor_that_keeps_sockets_refuses_no_client),
		cmocka_unit_test(
			sigterm_under_a_supervisor_that_keeps_sockets_loses_no_client),
		cmocka_unit_test(
			affinity_survives_kill_9_and_a_damaged_state_is_left_out),
		cmocka_unit_test(the_store_has_no_socket_of_a_removed_service),
	};

	(void)setenv("SLUICE_TEST_MODE", "userspace", 1);
	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
