/*
 * The sink for stale flows against the kernel's conntrack table: flows are
 * made through netlink (and once by real packets), a change set is applied, and the
 * remaining flows are checked.  Everything is in a network namespace of its own.
 */
#include "tests/test.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "rules/conntrack/stale_flows.h"
#include "tests/kernel/made_flow.h"
#include "tests/short_service.h"
#include "tests/stale_flow_cases.h"

#define N_MANY	     200000
#define TURN_US	     20000
#define N_ROUNDS_MAX 5
#define PATIENCE_MS  60000

static const struct environment env = {.enabled = {true, true}};

static void sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static int enter_namespace(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) == -1)
		return -1;
	sh("ip link set lo up");
	return 0;
}

/* ---- the sink ---- */

static struct sink *sink_new(void)
{
	struct sink *sink = NULL;

	assert_int_equal(stale_flows_new(&sink), 0);
	return sink;
}

static void sink_closep(struct sink **sink)
{
	sink_close(*sink);
}

/* The time of the longest call of a change set; each delays the event loop. */
static uint64_t longest_us;

static void note_call(uint64_t start_us)
{
	uint64_t us = clock_monotonic_us() - start_us;

	longest_us = us > longest_us ? us : longest_us;
}

/* As the engine does it. */
static int apply_all(struct sink *sink, const struct changeset *cs)
{
	struct pollfd fd = {.fd = sink->ops->work_fd(sink), .events = POLLIN};
	uint64_t start_us = clock_monotonic_us();
	int err;

	longest_us = 0;
	err = sink_apply(sink, cs);
	note_call(start_us);
	while (err == -EINPROGRESS) {
		assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
		start_us = clock_monotonic_us();
		err = sink->ops->work(sink);
		note_call(start_us);
	}
	return err;
}

static void apply(struct sink *sink, bool full, const struct service *old,
		  const struct service *new)
{
	struct change change = {old, new};
	struct changeset cs = {
		.full = full,
		.env = &env,
		.changes = &change,
		.n = old || new ? 1 : 0,
	};

	assert_int_equal(apply_all(sink, &cs), 0);
}

static struct service *dns_service(const char *endpoints)
{
	return short_service("dns", IPPROTO_UDP, DNS_FRONTENDS, endpoints);
}

static void check_case(const struct stale_flow_case *c)
{
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	_cleanup_(short_service_unrefp) struct service *before =
		stale_flow_service_new(&c->before);
	_cleanup_(short_service_unrefp) struct service *after =
		stale_flow_service_new(&c->after);
	struct made_flow flows[N_ELEMENTS(c->flows)];
	uint64_t n_deleted[FAMILY_N] = {0};
	size_t n = 0;

	for (const struct stale_flow *f = c->flows; f->proto; f++) {
		flows[n++] =
			(struct made_flow){f->proto, f->dst, f->reply_src, !f->is_stale};
		if (f->is_stale)
			n_deleted[*f->dst == '[' ? FAMILY_IPV6 : FAMILY_IPV4]++;
	}
	made_flows_create(flows, n);
	apply(sink, false, before, after);
	print_message("%s\n", c->name);
	made_flows_expect(flows, n);
	for (int f = 0; f < FAMILY_N; f++)
		assert_int_equal(stale_flows_stats(sink).n_deleted[f], n_deleted[f]);
	assert_int_equal(stale_flows_stats(sink).n_dumps, 1);
}

static void each_case_deletes_its_stale_flows_and_no_others(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(stale_flow_cases); i++) {
		assert_int_equal(enter_namespace(state), 0);
		check_case(&stale_flow_cases[i]);
	}
}

/* A restart is a full change set. */
static void a_full_change_set_keeps_flows_to_serving_endpoints(void **state)
{
	static const struct made_flow flows[] = {
		{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53", true},
		{IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.9:53", false},
		{IPPROTO_TCP, "10.96.0.10:53", "10.0.0.9:53", true},
	};
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	_cleanup_(short_service_unrefp) struct service *dns = dns_service("10.0.0.5:53");

	(void)state;
	made_flows_create(flows, N_ELEMENTS(flows));
	apply(sink, true, NULL, dns);
	made_flows_expect(flows, N_ELEMENTS(flows));
}

static void flows_in_another_conntrack_zone_are_deleted(void **state)
{
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	_cleanup_(short_service_unrefp) struct service *dns = dns_service("10.0.0.5:53");

	(void)state;
	sh("conntrack -I -p udp -s 203.0.113.2 -d 10.96.0.10 --sport 1 --dport 53 -w 7"
	   " -r 10.0.0.9 -q 203.0.113.2 --reply-port-src 53 --reply-port-dst 1 -t 60"
	   " >/dev/null 2>&1");
	apply(sink, false, NULL, dns);
	assert_int_equal(stale_flows_stats(sink).n_deleted[FAMILY_IPV4], 1);
	sh("test \"$(conntrack -C)\" = 0");
}

static void changes_without_udp_and_added_endpoints_need_no_dump(void **state)
{
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	_cleanup_(short_service_unrefp) struct service *tcp =
		short_service("web", IPPROTO_TCP, "10.96.0.10:53", "10.0.0.5:53");
	_cleanup_(short_service_unrefp) struct service *one = dns_service("10.0.0.5:53");
	_cleanup_(short_service_unrefp) struct service *two =
		dns_service("10.0.0.5:53 10.0.0.6:53");

	(void)state;
	apply(sink, false, NULL, tcp);
	apply(sink, false, tcp, NULL);
	assert_int_equal(stale_flows_stats(sink).n_dumps, 0);
	apply(sink, false, NULL, one);
	assert_int_equal(stale_flows_stats(sink).n_dumps, 1);
	apply(sink, false, one, two);
	assert_int_equal(stale_flows_stats(sink).n_dumps, 1);
}

/* Flows opened while our rules were missing, or some of them. */
static void untranslated_connections_are_deleted_after_a_full_change_set(void **state)
{
	static const char web[] = "10.96.0.20:80", node[] = "192.168.0.2:30080";
	static const struct made_flow flows[] = {
		{IPPROTO_TCP | MADE_FLOW_OPENING, web, web, false},
		{IPPROTO_TCP | MADE_FLOW_OPENING, node, node, false},
		{IPPROTO_TCP, web, web, true},
		{IPPROTO_TCP | MADE_FLOW_OPENING, web, "10.0.0.5:80", true},
		{IPPROTO_TCP, web, "10.0.0.5:80", true},
		/* none of our frontends: the node's own, other hosts' */
		{IPPROTO_TCP | MADE_FLOW_OPENING, "192.168.0.2:80", "192.168.0.2:80",
		 true},
		{IPPROTO_TCP | MADE_FLOW_OPENING, "10.96.0.20:81", "10.96.0.20:81", true},
		{IPPROTO_TCP | MADE_FLOW_OPENING, "8.8.8.8:80", "8.8.8.8:80", true},
		{IPPROTO_SCTP | MADE_FLOW_OPENING, web, web, true},
		{IPPROTO_SCTP | MADE_FLOW_OPENING, "10.96.0.21:80", "10.96.0.21:80",
		 false},
		{IPPROTO_SCTP, "10.96.0.21:80", "10.96.0.21:80", true},
		{IPPROTO_TCP | MADE_FLOW_OPENING, "[fd00::a]:80", "[fd00::a]:80", false},
		{IPPROTO_TCP | MADE_FLOW_OPENING, "[fd00::a]:80", "[2001:db8::5]:80",
		 true},
	};
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	_cleanup_(short_service_unrefp) struct service *tcp =
		short_service("web", IPPROTO_TCP, "10.96.0.20:80 192.168.0.2:30080",
			      "10.0.0.5:80");
	_cleanup_(short_service_unrefp) struct service *sctp =
		short_service("sctp", IPPROTO_SCTP, "10.96.0.21:80", "10.0.0.5:80");
	_cleanup_(short_service_unrefp) struct service *six =
		short_service("web", IPPROTO_TCP, "[fd00::a]:80", "[2001:db8::5]:80");
	const struct change changes[] = {{.new = tcp}, {.new = sctp}, {.new = six}};
	struct changeset cs = {.env = &env, .changes = changes, .n = N_ELEMENTS(changes)};

	(void)state;
	made_flows_create(flows, N_ELEMENTS(flows));
	assert_int_equal(apply_all(sink, &cs), 0);
	assert_int_equal(stale_flows_stats(sink).n_dumps, 0);
	cs.full = true;
	assert_int_equal(apply_all(sink, &cs), 0);
	made_flows_expect(flows, N_ELEMENTS(flows));
	assert_int_equal(stale_flows_stats(sink).n_deleted[FAMILY_IPV4], 3);
	assert_int_equal(stale_flows_stats(sink).n_deleted[FAMILY_IPV6], 1);
}

static void late_answers_of_a_frontend_are_deleted(void **state)
{
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	_cleanup_(short_service_unrefp) struct service *dns = dns_service("10.0.0.5:53");

	(void)state;
	sh("for from in '1.2.3.4 53' '1.2.3.4 54' '10.0.0.5 53'; do set -- $from;"
	   " conntrack -I -p udp -s $1 --sport $2 -d 203.0.113.2 --dport 4000 -t 60"
	   " >/dev/null 2>&1 || exit 1; done");
	apply(sink, false, NULL, dns);
	assert_int_equal(stale_flows_stats(sink).n_deleted[FAMILY_IPV4], 1);
	sh("! conntrack -L -s 1.2.3.4 -p udp --sport 53 2>/dev/null | grep .");
}

/* ---- many flows ---- */

static const struct made_flow many_flows[] = {
	{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53", true},
	{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.9:53", false},
};

static void expect_flows(unsigned long n)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "test \"$(conntrack -C)\" = %lu", n);
	sh(command);
}

/* $PATIENCE: how many times slower than usual this machine may be. */
static bool is_short_turn(const char *what)
{
	const char *text = getenv("PATIENCE");
	unsigned long patience = text ? strtoul(text, NULL, 10) : 1;

	print_message("%s: the longest turn takes %.1f ms\n", what,
		      (double)longest_us / 1000);
	return longest_us <= TURN_US * patience;
}

/* The quickest round shows our time, the others a busy machine. */
static void half_of_many_flows_are_deleted_in_short_turns(void **state)
{
	_cleanup_(short_service_unrefp) struct service *dns = dns_service("10.0.0.5:53");
	bool is_short = false;

	for (int i = 0; i < N_ROUNDS_MAX && !is_short; i++) {
		_cleanup_(sink_closep) struct sink *sink = NULL;

		assert_int_equal(enter_namespace(state), 0);
		sink = sink_new();
		made_flows_create_many(many_flows, N_MANY);
		apply(sink, false, NULL, dns);
		is_short = is_short_turn("half of the flows are stale");
		assert_int_equal(stale_flows_stats(sink).n_deleted[FAMILY_IPV4],
				 N_MANY / 2);
		expect_flows(N_MANY / 2);
	}
	assert_true(is_short);
}

/* The kernel filters all of them, in one system call. */
static void many_other_flows_do_not_delay_the_loop(void **state)
{
	static const struct made_flow others[] = {
		{IPPROTO_TCP, "10.96.0.20:80", "10.0.0.5:80", true},
		{IPPROTO_TCP, "10.96.0.20:80", "10.0.0.6:80", true},
	};
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	_cleanup_(short_service_unrefp) struct service *before =
		dns_service("10.0.0.5:53 10.0.0.9:53");
	_cleanup_(short_service_unrefp) struct service *after =
		dns_service("10.0.0.5:53");
	bool is_short = false;

	(void)state;
	made_flows_create_many(others, N_MANY);
	made_flows_create(many_flows, 1);
	for (int i = 0; i < N_ROUNDS_MAX && !is_short; i++) {
		assert_int_equal(made_flow_create(&many_flows[1], 1001), 0);
		apply(sink, true, NULL, before);
		is_short = is_short_turn("a full change set");
		apply(sink, false, before, after);
		is_short &= is_short_turn("an endpoint is removed");
		made_flows_expect(many_flows, N_ELEMENTS(many_flows));
	}
	assert_true(is_short);
	expect_flows(N_MANY + 1);
}

/* Its services are not held by the caller any more when the flows are found. */
static void change_sets_that_come_during_a_pass_add_up(void **state)
{
	static const struct made_flow flows[] = {
		{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.9:53", false},
		{IPPROTO_UDP, "10.96.0.11:53", "10.0.0.9:53", false},
		{IPPROTO_TCP | MADE_FLOW_OPENING, "10.96.0.12:80", "10.96.0.12:80",
		 false},
		{IPPROTO_UDP, "10.96.0.13:53", "10.0.0.9:53", true},
	};
	static const struct {
		const char *frontend;
		uint8_t proto;
	} services[] = {
		{"10.96.0.10:53", IPPROTO_UDP},
		{"10.96.0.11:53", IPPROTO_UDP},
		{"10.96.0.12:80", IPPROTO_TCP},
	};
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	struct pollfd fd = {.fd = sink->ops->work_fd(sink), .events = POLLIN};
	int err = -EINPROGRESS;

	(void)state;
	made_flows_create(flows, N_ELEMENTS(flows));
	for (size_t i = 0; i < N_ELEMENTS(services); i++) {
		_cleanup_(short_service_unrefp) struct service *s =
			short_service("s", services[i].proto, services[i].frontend,
				      "10.0.0.5:53");
		const struct change change = {.new = s};
		const struct changeset cs = {
			.full = services[i].proto == IPPROTO_TCP,
			.env = &env,
			.changes = &change,
			.n = 1,
		};

		assert_int_equal(sink_apply(sink, &cs), -EINPROGRESS);
	}
	while (err == -EINPROGRESS) {
		assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
		err = sink->ops->work(sink);
	}
	assert_int_equal(err, 0);
	made_flows_expect(flows, N_ELEMENTS(flows));
}

/* ---- real packets ---- */

static int udp_socket(const char *text,
		      int (*bind_or_connect)(int, const struct sockaddr *, socklen_t))
{
	struct timeval patience = {.tv_sec = 2};
	struct sockaddr_storage sa;
	struct addr addr;
	uint16_t port;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(addr_port_parse(text, &addr, &port), 0);
	len = addr_to_sockaddr(&addr, port, &sa);
	assert_int_equal(bind_or_connect(fd, (const struct sockaddr *)&sa, len), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)),
			 0);
	return fd;
}

/* Sends from the client; true if the packet arrives at this backend. */
static bool arrives(int client, int backend)
{
	char c = 0;

	assert_int_equal(send(client, "x", 1, 0), 1);
	return recv(backend, &c, 1, MSG_DONTWAIT) == 1;
}

static void a_client_that_keeps_sending_reaches_the_new_endpoint(void **state)
{
	_cleanup_(sink_closep) struct sink *sink = sink_new();
	_cleanup_(short_service_unrefp) struct service *before =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", "127.0.0.2:5300");
	_cleanup_(short_service_unrefp) struct service *after =
		short_service("dns", IPPROTO_UDP, "10.96.0.10:53", "127.0.0.3:5300");
	_cleanup_(closep) int old_backend = -1;
	_cleanup_(closep) int new_backend = -1;
	_cleanup_(closep) int client = -1;

	(void)state;
	sh("ip addr add 10.96.0.10/32 dev lo");
	sh("nft 'table ip t { chain c { type nat hook output priority -100;"
	   " ip daddr 10.96.0.10 udp dport 53 dnat to 127.0.0.2:5300; }; }'");
	old_backend = udp_socket("127.0.0.2:5300", bind);
	new_backend = udp_socket("127.0.0.3:5300", bind);
	client = udp_socket("10.96.0.10:53", connect);
	assert_true(arrives(client, old_backend));
	apply(sink, false, NULL, before);
	assert_true(arrives(client, old_backend));
	sh("nft 'flush chain ip t c; add rule ip t c"
	   " ip daddr 10.96.0.10 udp dport 53 dnat to 127.0.0.3:5300'");
	assert_true(arrives(client, old_backend)); /* the flow that has to go */
	apply(sink, false, before, after);
	assert_true(arrives(client, new_backend));
}

#define IN_NAMESPACE(test) cmocka_unit_test_setup(test, enter_namespace)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_NAMESPACE(each_case_deletes_its_stale_flows_and_no_others),
		IN_NAMESPACE(a_full_change_set_keeps_flows_to_serving_endpoints),
		IN_NAMESPACE(flows_in_another_conntrack_zone_are_deleted),
		IN_NAMESPACE(changes_without_udp_and_added_endpoints_need_no_dump),
		IN_NAMESPACE(
			untranslated_connections_are_deleted_after_a_full_change_set),
		IN_NAMESPACE(late_answers_of_a_frontend_are_deleted),
		IN_NAMESPACE(half_of_many_flows_are_deleted_in_short_turns),
		IN_NAMESPACE(many_other_flows_do_not_delay_the_loop),
		IN_NAMESPACE(change_sets_that_come_during_a_pass_add_up),
		IN_NAMESPACE(a_client_that_keeps_sending_reaches_the_new_endpoint),
	};
	struct sink *sink;

	if (unshare(CLONE_NEWNET) == -1 || stale_flows_new(&sink) != 0) {
		perror("no conntrack in a network namespace");
		return TEST_SKIPPED;
	}
	sink_close(sink);
	/* it is our time that is measured, not the queue for a busy processor */
	(void)setpriority(PRIO_PROCESS, 0, -15);
	return cmocka_run_group_tests_name("stale flows", tests, NULL, NULL);
}
