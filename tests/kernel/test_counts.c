/*
 * Counters with real packets, as `get services` shows them: they never go back, and
 * connections that are refused or dropped are counted, too.
 */
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "tests/kernel/http_get.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define METRICS_PORT 10249
#define N	     5 /* connections */
#define SILENT_MS    300

static struct instance *sluice;

/* Series for each Service would read counters for each request. */
static const char *const flags[] = {"--cluster-cidr", WORLD_POD_CIDRS,
				    "--service-metrics=false", NULL};

static const struct manifest_service services[] = {
	{.name = "web",
	 .ip = "svc10",
	 .ports = "p 80>80/TCP",
	 .endpoints = "pod1R far1R"},
	{.name = "sticky",
	 .ip = "svc11",
	 .ports = "p 80>80/TCP",
	 .endpoints = "pod1R",
	 .affinity_sec = 60},
	{.name = "empty", .ip = "svc12", .ports = "p 80>80/TCP", .endpoints = ""},
	{.name = "limited",
	 .type = "LoadBalancer",
	 .ip = "svc13",
	 .ports = "p 80>80@3002/TCP",
	 .vips = "vip4",
	 .ranges = "203.0.113.0/25",
	 .endpoints = "pod3R"},
	{.name = "local",
	 .type = "LoadBalancer",
	 .ip = "svc14",
	 .ports = "p 80>80@3003/TCP",
	 .vips = "vip8",
	 .policy = "eL",
	 .endpoints = "far1R"},
};

static const struct manifest_service moved[] = {
	{.name = "web",
	 .ip = "svc10",
	 .ports = "p 80>80/TCP",
	 .endpoints = "pod1R pod2R far2R"},
};

static int start(void **state)
{
	world_setup(state);
	sluice = instance_new(*state);
	instance_put(sluice, services, N_ELEMENTS(services));
	instance_start(sluice, flags);
	return 0;
}

static int stop(void **state)
{
	instance_free(sluice);
	return world_teardown(state);
}

static void expect_outcome(const char *from, const char *to, enum outcome outcome)
{
	const struct target t = target_named(from, to, IPPROTO_TCP, FAMILY_IPV4);
	struct answer a = probe(sluice->world, &t,
				outcome == PROBE_SILENT ? SILENT_MS : PROBE_PATIENCE_MS);
	char text[ANSWER_TEXT_LEN];

	if (a.outcome != outcome)
		instance_fail(sluice, "%s to %s: %s", from, to, answer_format(&a, text));
}

static void connect_some(const char *to)
{
	for (int i = 0; i < N; i++)
		expect_outcome("client", to, PROBE_ANSWERED);
}

/* The sum of a field over the IPv4 rows of a Service. */
static json_int_t get(const char *what, const char *service, const char *field)
{
	_cleanup_(buf_fini) struct buf command = BUF_INIT, out = BUF_INIT;
	json_auto_t *rows = NULL;
	json_int_t n = 0;
	const json_t *row;
	size_t i;

	buf_printf(&command, "get %s -o json", what);
	if (instance_command(sluice, buf_string(&command), &out))
		instance_fail(sluice, "%s", buf_string(&out));
	rows = json_loads(buf_string(&out), 0, NULL);
	json_array_foreach(rows, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		const char *family = json_string_value(json_object_get(row, "family"));

		if (strcmp(name, service) != 0 || strcmp(family, "IPv4") != 0)
			continue;
		if (!json_is_integer(json_object_get(row, field)))
			instance_fail(sluice, "%s of %s is not known", field, service);
		n += json_integer_value(json_object_get(row, field));
	}
	return n;
}

static void expect(const char *service, const char *field, json_int_t n)
{
	assert_int_equal(get("services", service, field), n);
}

/* ---- they never go back ---- */

static void flush(void)
{
	world_must(sluice->world, PLACE_NODE, "nft flush ruleset");
	instance_put(sluice, services, N_ELEMENTS(services)); /* returns when it serves */
}

static void counts_continue_after_a_flush(void **state)
{
	(void)state;
	connect_some("svc10:80");
	connect_some("svc11:80");
	expect("web", "connections", N);
	assert_int_equal(get("endpoints", "web", "connections"), N);
	assert_int_equal(get("endpoints", "sticky", "connections"), N);
	flush();
	expect("web", "connections", N);
	connect_some("svc10:80");
	connect_some("svc11:80");
	expect("web", "connections", 2 * N);
	expect("sticky", "connections", 2 * N);
	assert_int_equal(get("endpoints", "web", "connections"), 2 * N);
	assert_int_equal(get("endpoints", "sticky", "connections"), 2 * N);
}

static json_int_t metric(const char *name)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	const char *at;

	assert_int_equal(http_get(sluice->world, METRICS_PORT, "/metrics", &body), 200);
	at = strstr(buf_string(&body), name);
	if (!at)
		instance_fail(sluice, "no %s in:\n%s", name, buf_string(&body));
	return strtoll(at + strlen(name), NULL, 10);
}

/* By the timer: no counter is read for a request of this sum. */
static void await_reading(json_int_t n)
{
	uint64_t start_us = world_now_us();

	while (metric("\nsluice_connections_total ") < n) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "the counters are not read");
		world_sleep_ms(100);
	}
}

static void counts_that_were_not_asked_for_survive_a_flush(void **state)
{
	json_int_t before = get("services", "web", "connections");
	json_int_t sum = metric("\nsluice_connections_total ");

	(void)state;
	connect_some("svc10:80");
	await_reading(sum + N);
	flush();
	expect("web", "connections", before + N);
	assert_int_equal(get("endpoints", "web", "connections"), before + N);
}

static void the_sum_of_all_does_not_go_back(void **state)
{
	json_int_t before = metric("\nsluice_connections_total ");

	(void)state;
	flush();
	assert_true(metric("\nsluice_connections_total ") >= before);
}

static void counts_continue_after_a_restart(void **state)
{
	json_int_t before = get("services", "web", "connections"), now;

	(void)state;
	connect_some("svc10:80");
	(void)instance_end(sluice, SIGTERM);
	connect_some("svc10:80"); /* nothing runs */
	instance_start(sluice, flags);
	now = get("services", "web", "connections");
	assert_true(now >= 2 * N); /* what the kernel had: since the last flush */
	assert_true(now <= before + 2 * N);
	connect_some("svc10:80");
	expect("web", "connections", now + N);
}

static void counts_continue_when_endpoints_change(void **state)
{
	json_int_t before = get("services", "web", "connections");

	(void)state;
	instance_put(sluice, moved, N_ELEMENTS(moved));
	expect("web", "connections", before);
	connect_some("svc10:80");
	expect("web", "connections", before + N);
	instance_put(sluice, services, N_ELEMENTS(services));
	connect_some("svc10:80");
	expect("web", "connections", before + 2 * N);
}

/* ---- connections that get no endpoint ---- */

static void refused_connections_are_counted(void **state)
{
	static const char name[] =
		"\nsluice_refused_connections_total{reason=\"no-endpoints\"} ";
	json_int_t before;

	(void)state;
	expect("empty", "refused", 0);
	before = metric(name);
	for (int i = 0; i < N; i++)
		expect_outcome(i & 1 ? "client" : "pod1", "svc12:80", PROBE_REFUSED);
	expect("empty", "refused", N);
	expect("empty", "dropped", 0);
	expect("empty", "connections", 0);
	assert_int_equal(metric(name), before + N);
	flush();
	expect("empty", "refused", N);
}

static void clients_outside_of_the_source_ranges_are_counted(void **state)
{
	json_int_t dropped;

	(void)state;
	expect("limited", "dropped", 0);
	expect_outcome("client", "vip4:80", PROBE_ANSWERED);
	expect("limited", "dropped", 0);
	expect_outcome("blocked", "vip4:80", PROBE_SILENT);
	dropped = get("services", "limited", "dropped");
	assert_true(dropped >= 1 && dropped <= 2); /* a SYN may have been repeated */
	expect("limited", "connections", 1);
}

static void clients_without_a_local_endpoint_are_counted(void **state)
{
	(void)state;
	expect("local", "dropped", 0);
	expect_outcome("client", "vip8:80", PROBE_SILENT);
	assert_true(get("services", "local", "dropped") >= 1);
	expect("local", "connections", 0);
	expect("local", "refused", 0);
}

static void explain_shows_the_counts(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT, wanted = BUF_INIT;

	(void)state;
	buf_printf(&wanted, "counted: connections 0, refused %d, dropped 0\n", N);
	assert_int_equal(instance_command(sluice, "explain test/empty", &out), 0);
	if (!strstr(buf_string(&out), buf_string(&wanted)))
		instance_fail(sluice, "%s", buf_string(&out));
}

/* ---- connections that exist ---- */

static void expect_current(json_int_t n)
{
	assert_int_equal(get("services", "web", "current"), n);
	assert_int_equal(get("services test/web", "web", "current"), n); /* filtered */
	assert_int_equal(get("endpoints", "web", "current"), n);
	assert_int_equal(get("endpoints test/web", "web", "current"), n);
}

static void open_connections_are_counted(void **state)
{
	const struct target t =
		target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	struct answer a;
	int fds[N];
	uint64_t start_us;

	(void)state;
	world_must(sluice->world, PLACE_NODE, "conntrack -F 2>/dev/null");
	expect_current(0);
	for (int i = 0; i < N; i++) {
		fds[i] = probe_open(sluice->world, &t, PROBE_PATIENCE_MS, &a);
		assert_true(fds[i] >= 0);
	}
	expect_current(N);
	assert_int_equal(get("services", "sticky", "current"), 0);
	for (int i = 0; i < N; i++)
		probe_close(fds[i]);
	for (start_us = world_now_us(); get("services", "web", "current");) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "closed connections stay");
		world_sleep_ms(50);
	}
}

static void node_ports_have_current_connections(void **state)
{
	const struct target t =
		target_named("client", "node:3002", IPPROTO_TCP, FAMILY_IPV4);
	struct answer a;
	int fd;

	(void)state;
	fd = probe_open(sluice->world, &t, PROBE_PATIENCE_MS, &a);
	assert_true(fd >= 0);
	assert_int_equal(get("services test/limited", "limited", "current"), 1);
	assert_int_equal(get("services", "limited", "current"), 1);
	probe_close(fd);
}

static void set_accounting(int on)
{
	world_must(sluice->world, PLACE_NODE,
		   "echo %d > /proc/sys/net/netfilter/nf_conntrack_acct && "
		   "conntrack -F 2>/dev/null",
		   on);
}

/* Sums in get() would fail for null. */
static void bytes_are_those_that_conntrack_counts(void **state)
{
	static const char hint[] = "net.netfilter.nf_conntrack_acct=1";
	const struct target t =
		target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct answer a;
	int fd;

	(void)state;
	set_accounting(0);
	fd = probe_open(sluice->world, &t, PROBE_PATIENCE_MS, &a);
	assert_int_equal(instance_command(sluice, "get services -o wide", &out), 0);
	assert_non_null(strstr(buf_string(&out), hint));
	probe_close(fd);
	set_accounting(1);
	fd = probe_open(sluice->world, &t, PROBE_PATIENCE_MS, &a);
	buf_clear(&out);
	assert_int_equal(instance_command(sluice, "get services -o wide", &out), 0);
	assert_null(strstr(buf_string(&out), hint));
	assert_true(get("services", "web", "bytesIn") > 100);
	assert_true(get("services", "web", "bytesOut") > 100);
	assert_true(get("endpoints", "web", "packetsIn") >= 2);
	assert_true(get("endpoints", "web", "packetsOut") >= 1);
	probe_close(fd);
}

/* The numbers of the first row are those of a census that starts later, at most 5 s. */
static bool is_busiest_by_bytes(const char *text)
{
	const char *row = strchr(text, '\n');
	unsigned long long current = 0, in = 0, out = 0;
	char name[64] = "";

	return row &&
	       sscanf(row, " %*s %63s %*s %*s %*s %*s %llu %llu %llu", name, &current,
		      &in, &out) == 4 &&
	       strcmp(name, "web") == 0 && current == 1 && in > 100 && out > 100;
}

static void top_sorts_by_bytes(void **state)
{
	const struct target t =
		target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	uint64_t start_us = world_now_us();
	struct answer a;
	int fd;

	(void)state;
	set_accounting(1);
	fd = probe_open(sluice->world, &t, 5000, &a);
	assert_true(fd >= 0);
	do {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "%s", buf_string(&out));
		buf_clear(&out);
		assert_int_equal(instance_command(sluice, "top --once --sort-by bytes",
						  &out),
				 0);
		world_sleep_ms(50);
	} while (!is_busiest_by_bytes(buf_string(&out)));
	probe_close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_continue_after_a_flush),
		cmocka_unit_test(counts_that_were_not_asked_for_survive_a_flush),
		cmocka_unit_test(the_sum_of_all_does_not_go_back),
		cmocka_unit_test(counts_continue_after_a_restart),
		cmocka_unit_test(counts_continue_when_endpoints_change),
		cmocka_unit_test(refused_connections_are_counted),
		cmocka_unit_test(clients_outside_of_the_source_ranges_are_counted),
		cmocka_unit_test(clients_without_a_local_endpoint_are_counted),
		cmocka_unit_test(explain_shows_the_counts),
		cmocka_unit_test(open_connections_are_counted),
		cmocka_unit_test(node_ports_have_current_connections),
		cmocka_unit_test(bytes_are_those_that_conntrack_counts),
		cmocka_unit_test(top_sorts_by_bytes),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
