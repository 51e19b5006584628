/*
 * The daemon ends and starts again, in every way, while clients are connected:
 * the kernel works without it, and the new daemon adopts its tables.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/load.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define N_FLOWS	   200
#define PER_SECOND 500

static const struct manifest_service web = {
	.name = "web",
	.type = "NodePort",
	.ip = "svc10",
	.ports = "p 80>80@3001",
	.endpoints = "pod1R pod2R pod3R far1R",
};

static int setup(void **state)
{
	(void)instance_setup(state);
	instance_put(*state, &web, 1);
	return 0;
}

static void assert_nothing_broke(const char *what, const struct load_result *r)
{
	load_expect_unbroken(what, r);
	assert_int_equal(r->n_flows_open, N_FLOWS);
}

static void load_over_restarts(struct instance *sluice, const char *to,
			       enum family family, int signal)
{
	const struct load_plan plan = {
		.target = target_named(instance_is_ebpf() ? "pod4" : "client", to,
				       IPPROTO_TCP, family),
		.n_flows = N_FLOWS,
		.per_second = PER_SECOND,
	};
	struct load *load = load_start(sluice->world, &plan);
	struct load_result result;

	for (int i = 0; i < 3; i++) {
		load_wait(load, PER_SECOND / 5);
		(void)instance_end(sluice, signal);
		load_wait(load, PER_SECOND / 5);
		instance_start(sluice, NULL);
		load_wait(load, PER_SECOND / 5);
	}
	result = load_stop(load);
	assert_nothing_broke(signal == SIGKILL ? "kill -9" : "SIGTERM", &result);
}

static void sigterm_and_restart_break_nothing(void **state)
{
	load_over_restarts(*state, "svc10:80", FAMILY_IPV4, SIGTERM);
	load_over_restarts(*state, "node:3001", FAMILY_IPV6, SIGTERM);
}

static void kill_9_and_restart_break_nothing(void **state)
{
	load_over_restarts(*state, "svc10:80", FAMILY_IPV4, SIGKILL);
	load_over_restarts(*state, "svc10:80", FAMILY_IPV6, SIGKILL);
}

static void sigterm_ends_the_daemon_with_status_0_and_keeps_the_rules(void **state)
{
	struct instance *sluice = *state;
	static const struct traffic_row row = {"pod4", "svc10:80",
					       "pod1:80 pod2:80 pod3:80 far1:80", NULL};

	assert_int_equal(instance_end(sluice, SIGTERM), 0);
	traffic_check(sluice->world, &row, 1);
	instance_start(sluice, NULL);
}

static pid_t start_monitor(const struct world *w)
{
	pid_t pid = world_fork(w, PLACE_NODE);

	if (!pid) {
		if (chdir(w->dir))
			_exit(127);
		(void)execl("/bin/sh", "sh", "-c", "exec nft monitor >monitor",
			    (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* Earlier events are in the monitor's file once this table is. */
static void wait_monitor(const struct world *w, const char *table)
{
	uint64_t start_us = world_now_us();

	for (;;) {
		(void)world_run(w, PLACE_NODE, "nft add table ip %s", table);
		if (!world_run(w, PLACE_NODE,
			       "grep -q 'table ip %s' %s/monitor 2>/dev/null", table,
			       w->dir))
			break;
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			fail_msg("nft monitor does not report table %s", table);
		(void)world_run(w, PLACE_NODE, "nft delete table ip %s", table);
	}
	world_must(w, PLACE_NODE, "nft delete table ip %s", table);
}

static void wait_daemon(struct instance *sluice)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	uint64_t start_us = world_now_us();

	while (instance_command(sluice, "diff", &out)) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "no answer, or a difference: %s",
				      buf_string(&out));
		buf_clear(&out);
		world_sleep_ms(5);
	}
}

static void an_unchanged_restart_sends_nothing_and_keeps_counters(void **state)
{
	struct instance *sluice = *state;
	static const char counters[] =
		"for f in ip ip6; do for m in frontends endpoints; do "
		"nft list map $f sluice $m; done; done";
	const struct world *w = sluice->world;
	struct target t = target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	pid_t monitor;

	for (int i = 0; i < 20; i++)
		assert_int_equal(probe(w, &t, PROBE_PATIENCE_MS).outcome, PROBE_ANSWERED);
	world_must(w, PLACE_NODE, "(%s) | sort >%s/before", counters, w->dir);
	world_must(w, PLACE_NODE, "grep -q 'packets [1-9]' %s/before", w->dir);
	monitor = start_monitor(w);
	wait_monitor(w, "begin");
	(void)instance_end(sluice, SIGKILL);
	instance_launch(sluice, NULL);
	wait_daemon(sluice);
	wait_monitor(w, "end");
	(void)kill(monitor, SIGTERM);
	(void)waitpid(monitor, NULL, 0);
	if (!world_run(w, PLACE_NODE, "grep sluice %s/monitor >&2", w->dir))
		fail_msg("the restart changed something");
	world_must(w, PLACE_NODE, "(%s) | sort | cmp - %s/before", counters, w->dir);
	world_must(w, PLACE_NODE,
		   "grep nftables: %s | tail -n 1 | grep -q 'the kernel already had "
		   "everything'",
		   sluice->log);
}

/* All services of a large cluster, changed each time, so that each sync is long. */
static void add_crowd(struct buf *yaml, unsigned n, unsigned round)
{
	for (unsigned i = 0; i < n; i++)
		buf_printf(yaml,
			   "---\napiVersion: v1\nkind: Service\n"
			   "metadata: { namespace: crowd, name: s%u }\n"
			   "spec: { clusterIPs: [172.30.%u.%u], clusterIP: 172.30.%u.%u, "
			   "ports: [{ port: 80, protocol: TCP }] }\n"
			   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
			   "metadata: { namespace: crowd, name: s%u-x, labels: "
			   "{ kubernetes.io/service-name: s%u } }\n"
			   "addressType: IPv4\nports: [{ name: '', port: %u }]\n"
			   "endpoints: [{ addresses: [10.180.0.1] }, "
			   "{ addresses: [10.180.2.1] }]\n",
			   i, 1 + i / 250, 1 + i % 250, 1 + i / 250, 1 + i % 250, i, i,
			   8080 + round % 2);
}

/*
 * Each round it is killed a little later, from before it read anything until
 * after it was done.  Whatever it left, the next one makes it right.
 */
static void kill_9_during_a_sync_is_repaired_by_the_next_start(void **state)
{
	struct instance *sluice = *state;
	static const struct traffic_row rows[] = {
		{"pod4", "svc10:80", "pod1:80 pod2:80 pod3:80 far1:80", NULL},
		{"client", "node:3001", "pod1:80 pod2:80 pod3:80 far1:80 +m", NULL},
	};
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	for (unsigned round = 0; round < 8; round++) {
		_cleanup_(buf_fini) struct buf yaml = BUF_INIT;

		manifest_add_service(&yaml, &web);
		add_crowd(&yaml, 400, round);
		(void)instance_end(sluice, SIGTERM);
		instance_write(sluice, buf_string(&yaml));
		instance_launch(sluice, NULL);
		world_sleep_ms(20 + 40 * round); /* that is when it is killed */
		(void)instance_end(sluice, SIGKILL);
		traffic_check(sluice->world, rows,
			      N_ELEMENTS(rows)); /* traffic is unaffected */
		if (round % 4 != 3)
			continue;
		instance_start(sluice, NULL);
		traffic_check(sluice->world, rows, N_ELEMENTS(rows));
		buf_clear(&out);
		if (instance_command(sluice, "diff", &out))
			instance_fail(sluice, "the kernel differs: %s", buf_string(&out));
	}
	instance_put(sluice, &web, 1);
}

static void cleanup_removes_our_tables_and_no_others(void **state)
{
	struct instance *sluice = *state;
	world_must(sluice->world, PLACE_NODE,
		   "nft add table ip others; nft add table ip6 others");
	assert_int_equal(instance_end(sluice, SIGTERM), 0);
	world_must(sluice->world, PLACE_NODE, "%s cleanup --bpffs-root %s",
		   instance_program(), sluice->bpffs);
	world_must(sluice->world, PLACE_NODE,
		   "test \"$(nft list tables | sort | tr '\\n' ,)\" = "
		   "'table ip others,table ip6 others,'");
	/* and once more, with nothing to remove */
	world_must(sluice->world, PLACE_NODE, "%s cleanup --bpffs-root %s",
		   instance_program(), sluice->bpffs);
	world_must(sluice->world, PLACE_NODE,
		   "nft delete table ip others; nft delete table ip6 others");
	instance_start(sluice, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			sigterm_ends_the_daemon_with_status_0_and_keeps_the_rules),
		cmocka_unit_test(sigterm_and_restart_break_nothing),
		cmocka_unit_test(kill_9_and_restart_break_nothing),
		cmocka_unit_test(an_unchanged_restart_sends_nothing_and_keeps_counters),
		cmocka_unit_test(kill_9_during_a_sync_is_repaired_by_the_next_start),
		cmocka_unit_test(cleanup_removes_our_tables_and_no_others),
	};

	return cmocka_run_group_tests(tests, setup, instance_teardown);
}
