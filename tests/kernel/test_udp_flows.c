/*
 * UDP clients that keep their socket: a flow whose endpoint went is forgotten,
 * so that its next datagram goes where a new one would; all other flows are
 * left alone.  Whether a flow was touched shows in the port that the backend
 * sees: masquerading picks a new one at random for a new flow.
 *
 * In eBPF mode sockets of pods and of the node do the same without a flow. The
 * kernel closes a connected one whose endpoint went, so its client opens it again.
 *
 * In userspace mode flows are in the daemon, and end with it. The port that the backend
 * sees is that of the flow's socket.
 */
#include <errno.h>
#include <signal.h>

#include "core/cleanup.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

static struct instance *sluice;

static int start(void **state)
{
	(void)instance_setup(state);
	sluice = *state;
	*state = sluice->world;
	return 0;
}

static int stop(void **state)
{
	*state = sluice;
	return instance_teardown(state);
}

struct flow {
	struct target target;
	int fd;
	struct answer first;
};

/* The client of a run; in nftables mode only the first. */
static const struct client {
	const char *from;
	bool is_unconnected;
} clients[] = {
	{"client", false}, {"pod4", false}, {"pod4", true},
	{"node", false},   {"node", true},
};
static const struct client *client;

static bool is_direct(void)
{
	return client > clients;
}

static struct flow open_flow(const struct world *w, const char *to, enum family family)
{
	char text[ANSWER_TEXT_LEN];
	struct flow f = {.target = target_named(client->from, to, IPPROTO_UDP, family)};

	f.target.is_unconnected = client->is_unconnected;
	f.fd = probe_open(w, &f.target, PROBE_PATIENCE_MS, &f.first);
	if (f.first.outcome != PROBE_ANSWERED)
		fail_msg("%s to %s: %s", client->from, to, answer_format(&f.first, text));
	return f;
}

/* Only connected sockets that eBPF gave an endpoint are closed. */
static struct answer ask_flow(struct flow *f)
{
	struct answer a = probe_ask(f->fd, &f->target, 100);

	/* the node's own sockets get an error for packets that are dropped on their way out */
	if (a.outcome == PROBE_FAILED && a.err == EPERM)
		a.outcome = PROBE_SILENT;
	if (a.outcome != PROBE_FAILED || !is_direct() || client->is_unconnected ||
	    (a.err != ECONNABORTED && a.err != EDESTADDRREQ))
		return a;
	probe_close(f->fd);
	f->fd = probe_open(sluice->world, &f->target, 100, &a);
	return a;
}

/* Asks until it is as wanted: the clean-up comes a moment after the rules. */
static void wait_answer(struct flow *f, enum outcome outcome, const char *backend,
			enum family family)
{
	uint64_t start_us = world_now_us();
	char text[ANSWER_TEXT_LEN];
	struct addr wanted = {0};
	struct answer a;

	if (backend)
		wanted = world_addr(backend, family);
	do {
		a = ask_flow(f);
		if (a.outcome == outcome && (!backend || addr_equal(&a.backend, &wanted)))
			return;
		world_sleep_ms(2);
	} while (world_now_us() - start_us < WORLD_PATIENCE_US);
	fail_msg("should reach %s: %s", backend ? backend : "nobody",
		 answer_format(&a, text));
}

static void assert_untouched(const struct flow *f)
{
	struct answer a = probe_ask(f->fd, &f->target, PROBE_PATIENCE_MS);

	assert_int_equal(a.outcome, PROBE_ANSWERED);
	assert_true(addr_equal(&a.backend, &f->first.backend));
	assert_int_equal(a.source_port, f->first.source_port);
}

#define UDP_SERVICE(ENDPOINTS)                                                           \
	{                                                                                \
		.name = "dns", .type = "LoadBalancer", .ip = "svc53",                    \
		.ports = "d 53>53/UDP@3001", .external = "ext53", .vips = "vip53",       \
		.endpoints = ENDPOINTS                                                   \
	}

/* One that nothing happens to, beside the one that changes. */
static const struct manifest_service bystander = {
	.name = "bystander",
	.ip = "svc54",
	.ports = "d 53>53/UDP",
	.endpoints = "pod1R",
};

static void put_dns(const char *endpoints)
{
	struct manifest_service both[] = {UDP_SERVICE(endpoints), bystander};

	instance_put(sluice, both, 2);
}

static const char *const dns_frontends[] = {"svc53:53", "ext53:53", "vip53:53",
					    "node:3001"};
#define N_FRONTENDS N_ELEMENTS(dns_frontends)

static void flows_of_every_frontend_leave_a_replaced_endpoint(void **state)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct flow flows[N_FRONTENDS], other;

		put_dns("pod1R");
		for (size_t i = 0; i < N_FRONTENDS; i++)
			flows[i] =
				open_flow(*state, dns_frontends[i], (enum family)family);
		other = open_flow(*state, "svc54:53", (enum family)family);
		put_dns("pod2R");
		for (size_t i = 0; i < N_FRONTENDS; i++) {
			wait_answer(&flows[i], PROBE_ANSWERED, "pod2",
				    (enum family)family);
			probe_close(flows[i].fd);
		}
		assert_untouched(&other);
		probe_close(other.fd);
	}
}

static void flows_to_endpoints_that_stay_are_not_touched(void **state)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct flow f;

		put_dns("pod1R");
		f = open_flow(*state, "svc53:53", (enum family)family);
		put_dns("pod1R pod2R far1R");
		assert_untouched(&f);
		put_dns("pod1R pod3R");
		assert_untouched(&f);
		/* serving while it terminates, and no longer in any pool */
		put_dns("pod1T pod3R");
		assert_untouched(&f);
		put_dns("pod3R");
		wait_answer(&f, PROBE_ANSWERED, "pod3", (enum family)family);
		probe_close(f.fd);
	}
}

static void without_endpoints_a_flow_is_refused(void **state)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct flow f;

		put_dns("pod1R");
		f = open_flow(*state, "svc53:53", (enum family)family);
		put_dns("");
		wait_answer(&f, PROBE_REFUSED, NULL, (enum family)family);
		put_dns("pod2R");
		wait_answer(&f, PROBE_ANSWERED, "pod2", (enum family)family);
		probe_close(f.fd);
	}
}

static void flows_to_a_deleted_service_end(void **state)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct flow f;

		put_dns("pod1R");
		f = open_flow(*state, "svc53:53", (enum family)family);
		instance_put(sluice, &bystander, 1);
		/* the address remains this host's, and the port is closed */
		wait_answer(&f, instance_is_userspace() ? PROBE_REFUSED : PROBE_SILENT,
			    NULL, (enum family)family);
		put_dns("pod2R");
		wait_answer(&f, PROBE_ANSWERED, "pod2", (enum family)family);
		probe_close(f.fd);
	}
}

/* A socket that eBPF connected to an endpoint keeps it: the endpoint is still there. */
static void a_removed_node_port_reaches_the_node_itself(void **state)
{
	static const struct manifest_service without = {
		.name = "dns",
		.ip = "svc53",
		.ports = "d 53>53/UDP",
		.endpoints = "pod1R",
	};

	for (int family = 0; family < FAMILY_N; family++) {
		struct flow f, cluster;

		put_dns("pod1R");
		f = open_flow(*state, "node:3001", (enum family)family);
		cluster = open_flow(*state, "svc53:53", (enum family)family);
		instance_put(sluice, &without, 1);
		if (instance_is_userspace()) /* the node's own server does not run */
			wait_answer(&f, PROBE_REFUSED, NULL, (enum family)family);
		else
			wait_answer(&f, PROBE_ANSWERED, "node", (enum family)family);
		assert_untouched(&cluster);
		probe_close(f.fd);
		probe_close(cluster.fd);
	}
}

/*
 * Waits without sending: a datagram that is on its way back when its flow is forgotten
 * makes a new one in the other direction, which is not a flow to a frontend.
 */
static void wait_forgotten(const struct world *w, const char *name, enum family family)
{
	struct addr a = world_addr(name, family);
	uint64_t start_us = world_now_us();
	char text[ADDR_TEXT_LEN];

	while (!world_run(w, PLACE_NODE,
			  "conntrack -L -f %s -p udp -d %s 2>/dev/null | grep -q .",
			  family == FAMILY_IPV4 ? "ipv4" : "ipv6",
			  addr_format(&a, text))) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "the flow to %s is still there", name);
		world_sleep_ms(2);
	}
}

/* Datagrams sent before the Service existed went elsewhere, and their flow continues otherwise. */
static void a_flow_older_than_the_service_reaches_the_service(void **state)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct manifest_service s = {
			.name = "late",
			.ip = "svc55",
			.ports = "d 3001>53/UDP",
			.external = "ext50",
			.endpoints = "pod1R",
		};
		struct flow f;

		instance_put(sluice, &bystander, 1);
		f = open_flow(*state, "ext50:3001", (enum family)family);
		wait_answer(&f, PROBE_ANSWERED, "ext50", (enum family)family);
		instance_put(sluice, &s, 1);
		wait_forgotten(*state, "ext50", (enum family)family);
		wait_answer(&f, PROBE_ANSWERED, "pod1", (enum family)family);
		probe_close(f.fd);
	}
}

static void a_restart_touches_no_live_flow(void **state)
{
	static const int signals[] = {SIGTERM, SIGKILL};
	struct flow flows[FAMILY_N * N_FRONTENDS];

	if (instance_is_userspace())
		skip(); /* where flows end with the daemon */
	put_dns("pod1R");
	for (size_t i = 0; i < N_ELEMENTS(flows); i++)
		flows[i] = open_flow(*state, dns_frontends[i % N_FRONTENDS],
				     (enum family)(i / N_FRONTENDS));
	for (size_t s = 0; s < N_ELEMENTS(signals); s++) {
		(void)instance_end(sluice, signals[s]);
		instance_start(sluice, NULL);
		for (size_t i = 0; i < N_ELEMENTS(flows); i++)
			assert_untouched(&flows[i]);
	}
	for (size_t i = 0; i < N_ELEMENTS(flows); i++)
		probe_close(flows[i].fd);
}

/* The endpoint was removed while sluice was not running. */
static void a_restart_deletes_flows_to_endpoints_removed_meanwhile(void **state)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct flow f;

		put_dns("pod1R");
		f = open_flow(*state, "svc53:53", (enum family)family);
		(void)instance_end(sluice, SIGKILL);
		put_dns("pod2R");
		instance_start(sluice, NULL);
		wait_answer(&f, PROBE_ANSWERED, "pod2", (enum family)family);
		probe_close(f.fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_of_every_frontend_leave_a_replaced_endpoint),
		cmocka_unit_test(flows_to_endpoints_that_stay_are_not_touched),
		cmocka_unit_test(without_endpoints_a_flow_is_refused),
		cmocka_unit_test(flows_to_a_deleted_service_end),
		cmocka_unit_test(a_removed_node_port_reaches_the_node_itself),
		cmocka_unit_test(a_flow_older_than_the_service_reaches_the_service),
		cmocka_unit_test(a_restart_touches_no_live_flow),
		cmocka_unit_test(a_restart_deletes_flows_to_endpoints_removed_meanwhile),
	};

	int n_failed = 0;

	for (size_t i = 0; i < (instance_is_ebpf() ? N_ELEMENTS(clients) : 1); i++) {
		client = &clients[i];
		print_message("from %s%s\n", client->from,
			      client->is_unconnected ? ", not connected" : "");
		n_failed += cmocka_run_group_tests(tests, start, stop);
	}
	return n_failed;
}
