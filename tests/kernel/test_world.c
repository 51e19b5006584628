/*
 * The world itself, without sluice in it: who reaches whom, as whom.  What the
 * other kernel tests observe means something only if this holds.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/kernel/load.h"
#include "tests/kernel/probe.h"
#include "tests/kernel/world.h"
#include "tests/test.h"

static const struct {
	const char *from, *to;
	enum outcome outcome;
} direct_cases[] = {
	{"client", "pod1:80", PROBE_ANSWERED},
	{"blocked", "pod4:8080", PROBE_ANSWERED},
	{"client", "far5:80", PROBE_ANSWERED},
	{"client", "node:3001", PROBE_ANSWERED},
	{"client", "node2:3001", PROBE_ANSWERED},
	{"client", "vip9:80", PROBE_ANSWERED},
	{"node", "pod2:80", PROBE_ANSWERED},
	{"node3", "far1:53", PROBE_ANSWERED},
	{"node2", "pod1:80", PROBE_ANSWERED},
	{"pod1", "pod2:80", PROBE_ANSWERED},
	{"pod1", "far1:80", PROBE_ANSWERED},
	{"pod3", "ext50:3001", PROBE_ANSWERED},
	{"far1", "pod1:80", PROBE_ANSWERED},
	{"pod1", "node:3001", PROBE_ANSWERED},
	{"client", "pod1:81", PROBE_REFUSED},
	{"client", "node:80", PROBE_REFUSED},
	{"pod1", "far1:81", PROBE_REFUSED},
};

static void all_hosts_reach_each_other_with_their_own_addresses(void **state)
{
	const struct world *w = *state;

	for (size_t i = 0; i < N_ELEMENTS(direct_cases) * 4; i++) {
		const char *from = direct_cases[i / 4].from;
		struct target t = target_named(from, direct_cases[i / 4].to,
					       i & 1 ? IPPROTO_TCP : IPPROTO_UDP,
					       i & 2 ? FAMILY_IPV6 : FAMILY_IPV4);
		struct addr own = world_addr(from, t.family);
		struct answer a = probe(w, &t, PROBE_PATIENCE_MS);
		char text[ANSWER_TEXT_LEN];

		if (a.outcome != direct_cases[i / 4].outcome)
			fail_msg("%s to %s, %s, %s: %s", from, direct_cases[i / 4].to,
				 proto_name(t.proto), family_name(t.family),
				 answer_format(&a, text));
		if (a.outcome != PROBE_ANSWERED)
			continue;
		assert_true(addr_equal(&a.backend, &t.addr));
		assert_int_equal(a.backend_port, t.port);
		assert_true(addr_equal(&a.source, &own));
		assert_int_equal(a.source_port, a.own_port);
	}
}

static void a_reset_differs_from_an_icmp_error(void **state)
{
	const struct world *w = *state;
	struct target t = target_named("client", "pod1:81", IPPROTO_TCP, FAMILY_IPV4);

	assert_false(probe(w, &t, PROBE_PATIENCE_MS).by_icmp);
	t.proto = IPPROTO_UDP;
	assert_true(probe(w, &t, PROBE_PATIENCE_MS).by_icmp);
}

static void a_dropped_packet_is_reported_as_silence(void **state)
{
	const struct world *w = *state;
	struct target t = target_named("client", "pod1:80", IPPROTO_TCP, FAMILY_IPV4);

	world_must(w, PLACE_NODE,
		   "nft 'table ip t { chain c { type filter hook forward priority 0; "
		   "ip daddr 10.180.0.1 drop; }; }'");
	assert_int_equal(probe(w, &t, 150).outcome, PROBE_SILENT);
	world_must(w, PLACE_NODE, "nft delete table ip t");
	assert_int_equal(probe(w, &t, PROBE_PATIENCE_MS).outcome, PROBE_ANSWERED);
}

static void a_load_counts_failed_connections_only(void **state)
{
	const struct load_plan plan = {
		.target = target_named("client", "pod1:80", IPPROTO_TCP, FAMILY_IPV4),
		.n_flows = 200,
		.per_second = 500,
	};
	struct load *load = load_start(*state, &plan);
	struct load_result r;

	load_wait(load, 250);
	r = load_look(load);
	assert_int_equal(r.n_refused + r.n_failed + r.n_silent + r.n_flows_broken, 0);
	assert_int_equal(r.n_flows_open, 200);

	world_must(*state, PLACE_NODE,
		   "nft 'table ip t { chain c { type filter hook forward priority 0; "
		   "ip daddr 10.180.0.1 tcp dport 80 reject with tcp reset; }; }'");
	while (load_look(load).n_flows_broken < 200 || !load_look(load).n_refused)
		world_sleep_ms(2);
	world_must(*state, PLACE_NODE, "nft delete table ip t");
	r = load_stop(load);
	assert_int_equal(r.n_flows_open, 0);
}

/* A builder of worlds that is killed: neither its processes nor its folder may stay. */
static void the_namespaces_vanish_with_the_test(void **state)
{
	struct world *w;
	int pipe_fds[2], status;
	pid_t pids[PLACE_N], maker;
	char dir[64] = "";

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	maker = fork();
	if (!maker) {
		w = world_new();
		if (write(pipe_fds[1], w->backends, sizeof(pids)) != sizeof(pids) ||
		    write(pipe_fds[1], w->dir, strlen(w->dir)) <= 0)
			_exit(1);
		(void)raise(SIGKILL);
	}
	(void)close(pipe_fds[1]);
	assert_int_equal(waitpid(maker, &status, 0), maker);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(read(pipe_fds[0], pids, sizeof(pids)), sizeof(pids));
	assert_true(read(pipe_fds[0], dir, sizeof(dir) - 1) > 0);
	(void)close(pipe_fds[0]);

	for (uint64_t start = world_now_us();; world_sleep_ms(5)) {
		bool left = !access(dir, F_OK);

		for (int i = 0; i < PLACE_N; i++)
			left = left || (pids[i] && !kill(pids[i], 0));
		if (!left)
			break;
		if (world_now_us() - start > WORLD_PATIENCE_US)
			fail_msg("%s or a process of it is still there", dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_hosts_reach_each_other_with_their_own_addresses),
		cmocka_unit_test(a_reset_differs_from_an_icmp_error),
		cmocka_unit_test(a_dropped_packet_is_reported_as_silence),
		cmocka_unit_test(a_load_counts_failed_connections_only),
		cmocka_unit_test(the_namespaces_vanish_with_the_test),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
