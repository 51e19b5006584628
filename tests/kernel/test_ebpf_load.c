/*
 * The whole program in eBPF mode while clients connect: what other processes do
 * to its rules and links fails no connection, and a connected UDP socket learns
 * soon that its endpoint has gone.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/load.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define PER_SECOND 500 /* from the node, and as many from a pod */
#define N_FLOWS	   50
#define N_SOCKETS  10000
#define N_FILES	   (N_SOCKETS + 1000)
#define CLOSED_US  100000

static const struct manifest_service web = {
	.name = "web",
	.ip = "svc10",
	.ports = "p 80>80",
	.endpoints = "pod1R pod2R far1R",
};

static int setup(void **state)
{
	static const char *const args[] = {"--cluster-cidr", WORLD_POD_CIDRS,
					   "--audit-period", "1s", NULL};
	struct instance *sluice;

	if (setenv("SLUICE_TEST_MODE", "ebpf", 1) != 0)
		return -1;
	(void)instance_setup(state);
	sluice = *state;
	(void)instance_end(sluice, SIGTERM);
	instance_put(sluice, &web, 1);
	instance_start(sluice, args);
	return 0;
}

static struct load *start_load(struct instance *sluice, const char *from)
{
	const struct load_plan plan = {
		.target = target_named(from, "svc10:80", IPPROTO_TCP, FAMILY_IPV4),
		.n_flows = N_FLOWS,
		.per_second = PER_SECOND,
	};

	return load_start(sluice->world, &plan);
}

static void end_load(const char *what, struct load *load)
{
	struct load_result r = load_stop(load);

	load_expect_unbroken(what, &r);
}

/* Until the command's exit status on the node is 0. */
static void await(struct instance *sluice, const char *command)
{
	uint64_t start = world_now_us();

	while (world_run(sluice->world, PLACE_NODE, "%s", command)) {
		if (world_now_us() - start > WORLD_PATIENCE_US)
			instance_fail(sluice, "never succeeds: %s", command);
		world_sleep_ms(20);
	}
}

static void flushed_rules_fail_no_connection(void **state)
{
	struct instance *sluice = *state;
	struct load *node = start_load(sluice, "node"), *pod = start_load(sluice, "pod4");

	for (int i = 0; i < 3; i++) {
		load_wait(pod, PER_SECOND / 5);
		world_must(sluice->world, PLACE_NODE, "nft flush ruleset");
		load_wait(pod, PER_SECOND / 5);
		await(sluice, "nft list table ip sluice >/dev/null 2>&1");
	}
	end_load("flush ruleset, node", node);
	end_load("flush ruleset, pod", pod);
}

static void detached_links_fail_no_connection(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *detach = xasprintf(
		"for link in %s/sluice/link_*; do bpftool link detach pinned $link || "
		"exit; done",
		sluice->bpffs);
	_cleanup_(freep) char *is_attached =
		xasprintf("test \"$(bpftool cgroup show %s | grep -c '[46] *$')\" = 8",
			  sluice->cgroup);
	struct load *node = start_load(sluice, "node"), *pod = start_load(sluice, "pod4");

	for (int i = 0; i < 3; i++) {
		await(sluice, is_attached);
		load_wait(pod, PER_SECOND / 5);
		world_must(sluice->world, PLACE_NODE, "%s", detach);
		load_wait(pod, PER_SECOND / 5);
	}
	await(sluice, is_attached);
	load_wait(pod, PER_SECOND / 5);
	end_load("links detached, node", node);
	end_load("links detached, pod", pod);
}

static const char *const usual_args[] = {"--cluster-cidr", WORLD_POD_CIDRS, NULL};

/* Ends the daemon in this way, does something to what it left, and starts another, under load. */
static void restart_under_load(struct instance *sluice, const char *what, int signal,
			       const char *between)
{
	struct load *node = start_load(sluice, "node"), *pod = start_load(sluice, "pod4");

	for (int i = 0; i < 3; i++) {
		load_wait(pod, PER_SECOND / 5);
		(void)instance_end(sluice, signal);
		load_wait(pod, PER_SECOND / 5);
		if (between)
			world_must(sluice->world, PLACE_NODE, between, sluice->bpffs);
		instance_start(sluice, usual_args);
	}
	load_wait(pod, PER_SECOND / 5);
	end_load(what, node);
	end_load(what, pod);
}

static void restarts_fail_no_connection(void **state)
{
	restart_under_load(*state, "restart", SIGTERM, NULL);
}

static void kill_9_fails_no_connection(void **state)
{
	restart_under_load(*state, "kill -9", SIGKILL, NULL);
}

/* Maps without a version are not of this layout. */
static void an_upgrade_with_another_layout_fails_no_connection(void **state)
{
	restart_under_load(*state, "upgrade", SIGTERM, "rm %s/sluice/meta");
}

static void add_crowd(struct buf *yaml, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_printf(yaml,
			   "---\napiVersion: v1\nkind: Service\n"
			   "metadata: { namespace: crowd, name: s%u }\n"
			   "spec: { clusterIP: 172.30.%u.%u, ports: [{ port: 80, "
			   "protocol: TCP }] }\n"
			   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
			   "metadata: { namespace: crowd, name: s%u-x, labels: "
			   "{ kubernetes.io/service-name: s%u } }\n"
			   "addressType: IPv4\nports: [{ name: '', port: 80 }]\n"
			   "endpoints: [{ addresses: [10.180.0.1] }, "
			   "{ addresses: [10.180.2.1] }]\n",
			   i, 1 + i / 250, 1 + i % 250, i, i);
}

/* The maps start with room for a thousand services. */
static void growing_maps_fail_no_connection(void **state)
{
	struct instance *sluice = *state;
	struct load *node = start_load(sluice, "node"), *pod = start_load(sluice, "pod4");

	for (unsigned n = 1500; n <= 6000; n *= 2) {
		_cleanup_(buf_fini) struct buf yaml = BUF_INIT;

		manifest_add_service(&yaml, &web);
		add_crowd(&yaml, n);
		instance_put_yaml(sluice, buf_string(&yaml));
		load_wait(pod, PER_SECOND / 5);
	}
	end_load("growth, node", node);
	end_load("growth, pod", pod);
	instance_put(sluice, &web, 1);
}

/* The epoll descriptor reports each socket once, when it gets an error. */
static void open_sockets(struct instance *sluice, int epoll, int *fds)
{
	static const char *const sources[] = {"node", "pod2", "pod3", "pod4"};

	for (size_t i = 0; i < N_SOCKETS; i++) {
		struct target t = target_named(sources[i % N_ELEMENTS(sources)],
					       "svc11:53", IPPROTO_UDP, FAMILY_IPV4);
		struct epoll_event errors = {.events = EPOLLERR | EPOLLONESHOT};
		struct answer a;

		fds[i] = probe_open(sluice->world, &t, PROBE_PATIENCE_MS, &a);
		assert_int_equal(a.outcome, PROBE_ANSWERED);
		assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &errors), 0);
	}
}

/* Waits until so many have an error; the microseconds since start_us, or WORLD_PATIENCE_US. */
static uint64_t await_errors(int epoll, size_t n, uint64_t start_us)
{
	struct epoll_event events[256];
	uint64_t took_us = 0;

	while (n > 0 && took_us < WORLD_PATIENCE_US) {
		/* not asleep in epoll_wait(): each socket would wake this process */
		int got = epoll_wait(epoll, events, N_ELEMENTS(events), 0);

		assert_true(got >= 0);
		n -= (size_t)got;
		if (got == 0)
			world_sleep_ms(1);
		took_us = world_now_us() - start_us;
	}
	return n > 0 ? WORLD_PATIENCE_US : took_us;
}

static void connected_udp_sockets_of_a_removed_endpoint_are_closed_soon(void **state)
{
	static const struct rlimit many = {N_FILES, N_FILES};
	struct instance *sluice = *state;
	struct manifest_service dns = {.name = "dns",
				       .ip = "svc11",
				       .ports = "p 53>53/UDP",
				       .endpoints = "pod1R"};
	_cleanup_(closep) int epoll = epoll_create1(EPOLL_CLOEXEC);
	_cleanup_(freep) int *fds = xcalloc(N_SOCKETS, sizeof(*fds));
	_cleanup_(buf_fini) struct buf yaml = BUF_INIT;
	struct epoll_event early;
	uint64_t start, took;

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &many), 0);
	/* without the frequent audits */
	(void)instance_end(sluice, SIGTERM);
	instance_start(sluice, NULL);
	instance_put(sluice, &dns, 1);
	open_sockets(sluice, epoll, fds);
	assert_int_equal(epoll_wait(epoll, &early, 1, 0), 0);
	dns.endpoints = "pod2R";
	manifest_add_service(&yaml, &dns);
	start = world_now_us();
	instance_write(sluice, buf_string(&yaml));
	took = await_errors(epoll, N_SOCKETS, start);
	print_message("%d sockets in 4 namespaces: closed %.1f ms after the change\n",
		      N_SOCKETS, (double)took / 1000);
	for (size_t i = 0; i < N_SOCKETS; i++)
		probe_close(fds[i]);
	assert_in_range(took, 1, CLOSED_US * world_patience());
	instance_put(sluice, &web, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flushed_rules_fail_no_connection),
		cmocka_unit_test(detached_links_fail_no_connection),
		cmocka_unit_test(restarts_fail_no_connection),
		cmocka_unit_test(kill_9_fails_no_connection),
		cmocka_unit_test(an_upgrade_with_another_layout_fails_no_connection),
		cmocka_unit_test(growing_maps_fail_no_connection),
		cmocka_unit_test(
			connected_udp_sockets_of_a_removed_endpoint_are_closed_soon),
	};

	return cmocka_run_group_tests(tests, setup, instance_teardown);
}
