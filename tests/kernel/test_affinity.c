/*
 * Session affinity ClientIP with real connections: a returning client gets the same
 * endpoint, for the time that was asked, as long as that endpoint is there, also
 * when sluice was restarted in between.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define ALL_PODS    "pod1R pod2R pod3R pod4R far1R far2R far3R far4R"
#define N_KINDS	    4 /* TCP and UDP, IPv4 and IPv6: each is a frontend of its own */
#define RENEWED_SEC 2
#define MAX_PAUSED  20
#define N_REPEATS   12

static struct instance *sluice;

/* In eBPF mode bindings of the eBPF maps are tested, which clients outside do not have. */
static const char *usual_client(void)
{
	return instance_is_ebpf() ? "pod4" : "client";
}

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

static struct manifest_service sticky_service(uint32_t seconds, const char *endpoints)
{
	return (struct manifest_service){
		.name = "sticky",
		.type = "LoadBalancer",
		.ip = "svc90",
		.ports = "p 80>80@3001",
		.vips = "vip90",
		.endpoints = endpoints,
		.affinity_sec = seconds,
	};
}

static void put(uint32_t seconds, const char *endpoints)
{
	struct manifest_service s = sticky_service(seconds, endpoints);

	instance_put(sluice, &s, 1);
}

/* Learned affinity belongs to a frontend; a Service that went takes it along. */
static void put_fresh(uint32_t seconds, const char *endpoints)
{
	instance_put(sluice, NULL, 0);
	put(seconds, endpoints);
}

static struct answer ask(const struct world *w, const char *from, const char *to,
			 int kind)
{
	struct target t = target_named(from, to, kind & 1 ? IPPROTO_UDP : IPPROTO_TCP,
				       kind & 2 ? FAMILY_IPV6 : FAMILY_IPV4);
	struct answer a = probe(w, &t, PROBE_PATIENCE_MS);
	char text[ANSWER_TEXT_LEN];

	if (a.outcome != PROBE_ANSWERED)
		fail_msg("%s to %s: %s", from, to, answer_format(&a, text));
	return a;
}

static void get_all(const struct world *w, const char *from, const char *to,
		    struct addr ret[N_KINDS])
{
	for (int kind = 0; kind < N_KINDS; kind++)
		ret[kind] = ask(w, from, to, kind).backend;
}

static size_t n_same(const struct addr a[N_KINDS], const struct addr b[N_KINDS])
{
	size_t n = 0;

	for (int kind = 0; kind < N_KINDS; kind++)
		n += addr_equal(&a[kind], &b[kind]);
	return n;
}

static void assert_stuck(const struct world *w, const char *from, const char *to,
			 const struct addr first[N_KINDS])
{
	struct addr again[N_KINDS];

	for (int i = 0; i < N_REPEATS; i++) {
		get_all(w, from, to, again);
		assert_int_equal(n_same(first, again), N_KINDS);
	}
}

static void a_returning_client_reaches_the_same_endpoint(void **state)
{
	static const char *const sources[] = {"client", "pod1", "node3", "blocked"};
	static const char *const targets[] = {"svc90:80", "vip90:80", "node:3001"};
	struct addr first[N_KINDS];

	put_fresh(60, ALL_PODS);
	for (size_t i = 0; i < N_ELEMENTS(sources) * N_ELEMENTS(targets); i++) {
		const char *from = sources[i % N_ELEMENTS(sources)];
		const char *to = targets[i / N_ELEMENTS(sources)];

		get_all(*state, from, to, first);
		assert_stuck(*state, from, to, first);
	}
}

static void every_address_of_a_service_port_leads_to_the_same_endpoint(void **state)
{
	static const char *const sources[] = {"client", "pod1", "node3", "blocked"};
	struct manifest_service gone = sticky_service(60, ALL_PODS);
	struct addr first[N_KINDS], again[N_KINDS];

	for (size_t i = 0; i < N_ELEMENTS(sources); i++) {
		put_fresh(60, ALL_PODS);
		get_all(*state, sources[i], "svc90:80", first);
		get_all(*state, sources[i], "vip90:80", again);
		assert_int_equal(n_same(first, again), N_KINDS);
		get_all(*state, sources[i], "node:3001", again);
		assert_int_equal(n_same(first, again), N_KINDS);
		/* an address that goes for a moment takes nothing along */
		gone.vips = NULL;
		instance_put(sluice, &gone, 1);
		put(60, ALL_PODS);
		assert_stuck(*state, sources[i], "vip90:80", first);
	}
}

/* endpoint: NULL: the client has none yet */
static void expect_explained(const char *to, int kind, const struct addr *endpoint)
{
	const struct target t =
		target_named("client", to, kind & 1 ? IPPROTO_UDP : IPPROTO_TCP,
			     kind & 2 ? FAMILY_IPV6 : FAMILY_IPV4);
	const struct addr source = world_addr("client", t.family);
	char from[ADDR_TEXT_LEN], place[ADDR_PORT_TEXT_LEN];
	_cleanup_(buf_fini) struct buf out = BUF_INIT, wanted = BUF_INIT;
	_cleanup_(freep) char *command =
		xasprintf("explain %s/%s --from %s",
			  addr_port_format(&t.addr, t.port, place), proto_name(t.proto),
			  addr_format(&source, from));

	if (endpoint)
		buf_printf(&wanted, "\naffinity: the client stays with %s\n",
			   addr_port_format(endpoint, 80, place));
	else
		buf_add_string(&wanted, "\naffinity: the client has no endpoint yet\n");
	if (instance_command(sluice, command, &out) != 0 ||
	    !strstr(buf_string(&out), buf_string(&wanted)))
		instance_fail(sluice, "no \"%s\" in: %s", buf_string(&wanted),
			      buf_string(&out));
}

static void explain_names_the_endpoint_of_a_client(void **state)
{
	static const char *const targets[] = {"svc90:80", "vip90:80", "node:3001"};
	struct addr first[N_KINDS];

	put_fresh(60, ALL_PODS);
	for (int kind = 0; kind < N_KINDS; kind++)
		expect_explained("svc90:80", kind, NULL);
	get_all(*state, "client", "svc90:80", first);
	for (size_t i = 0; i < N_KINDS * N_ELEMENTS(targets); i++)
		expect_explained(targets[i / N_KINDS], (int)(i % N_KINDS),
				 &first[i % N_KINDS]);
	put(60, ""); /* the bindings lead nowhere */
	for (int kind = 0; kind < N_KINDS; kind++)
		expect_explained("svc90:80", kind, NULL);
}

static void policy_local_is_sticky_among_the_endpoints_of_the_node(void **state)
{
	struct manifest_service s = sticky_service(60, "pod1R pod2R pod3R pod4R far1R");
	struct addr first[N_KINDS];
	char name[ADDR_TEXT_LEN];

	s.policy = "eL";
	instance_put(sluice, NULL, 0);
	instance_put(sluice, &s, 1);
	get_all(*state, "client", "vip90:80", first);
	for (int kind = 0; kind < N_KINDS; kind++)
		assert_memory_equal(world_name(&first[kind], name), "pod", 3);
	assert_stuck(*state, "client", "vip90:80", first);
}

static void without_affinity_clients_reach_all_endpoints(void **state)
{
	struct addr first[N_KINDS], again[N_KINDS];
	size_t same = 0;

	put_fresh(0, ALL_PODS);
	get_all(*state, usual_client(), "svc90:80", first);
	for (int i = 0; i < N_REPEATS; i++) {
		get_all(*state, usual_client(), "svc90:80", again);
		same += n_same(first, again);
	}
	assert_true(same < N_REPEATS * N_KINDS);
}

/* Of four frontends with eight endpoints each, all stay by chance once in 4096 rounds. */
static void after_the_affinity_timeout_any_endpoint_may_be_chosen(void **state)
{
	struct addr first[N_KINDS], again[N_KINDS];
	int round;

	put_fresh(1, ALL_PODS);
	get_all(*state, usual_client(), "svc90:80", first);
	for (round = 0; round < 4; round++) {
		world_sleep_ms(1150); /* the timeout itself is what is tested */
		get_all(*state, usual_client(), "svc90:80", again);
		if (n_same(first, again) < N_KINDS)
			return;
	}
	fail_msg("still the same endpoints after %d timeouts", round);
}

/*
 * Twice the timeout in all.  False: on a busy machine there was a pause as long as the
 * timeout, which ends the bindings.
 */
static bool keeps_bindings_by_use(const struct world *w)
{
	struct addr first[N_KINDS], again[N_KINDS];
	uint64_t used_us;

	put_fresh(RENEWED_SEC, ALL_PODS);
	used_us = world_now_us();
	get_all(w, usual_client(), "svc90:80", first);
	for (int i = 0; i < 8; i++) {
		uint64_t start_us;

		world_sleep_ms(RENEWED_SEC * 1000 / 4);
		start_us = world_now_us();
		get_all(w, usual_client(), "svc90:80", again);
		if (world_now_us() - used_us > RENEWED_SEC * 900000)
			return false;
		assert_int_equal(n_same(first, again), N_KINDS);
		used_us = start_us;
	}
	return true;
}

static void each_new_connection_renews_the_affinity_timeout(void **state)
{
	unsigned n = 0;

	while (!keeps_bindings_by_use(*state))
		if (++n == MAX_PAUSED)
			fail_msg("the machine pauses too often");
}

/* "pod1R pod2R …" without the endpoints that are in gone. */
static void list_without(const struct addr gone[N_KINDS], char *ret, size_t len)
{
	char copy[] = ALL_PODS, *rest = copy, *item;
	size_t n = 0;

	ret[0] = '\0';
	while ((item = strsep(&rest, " "))) {
		bool is_gone = false;

		for (int kind = 0; kind < N_KINDS; kind++) {
			char name[ADDR_TEXT_LEN];

			is_gone = is_gone || !strncmp(world_name(&gone[kind], name), item,
						      strlen(item) - 1);
		}
		if (!is_gone)
			n += (size_t)snprintf(ret + n, len - n, "%s%s", n ? " " : "",
					      item);
	}
}

static void clients_of_a_removed_endpoint_move_and_the_others_keep_theirs(void **state)
{
	const char *other = instance_is_ebpf() ? "pod3" : "blocked";
	struct addr gone[N_KINDS], again[N_KINDS], kept[N_KINDS];
	char rest[256];

	put_fresh(60, ALL_PODS);
	get_all(*state, usual_client(), "svc90:80", gone);
	get_all(*state, other, "svc90:80", kept);
	list_without(gone, rest, sizeof(rest));

	put(60, rest);
	get_all(*state, usual_client(), "svc90:80", again);
	assert_int_equal(n_same(gone, again), 0);
	assert_stuck(*state, usual_client(), "svc90:80", again);
	for (int kind = 0; kind < N_KINDS; kind++) {
		char name[ADDR_TEXT_LEN];
		struct addr now = ask(*state, other, "svc90:80", kind).backend;

		if (strstr(rest, world_name(&kept[kind], name)))
			assert_true(addr_equal(&now, &kept[kind]));
	}
}

static void other_changes_of_the_service_keep_the_bindings(void **state)
{
	struct manifest_service two[2] = {
		sticky_service(60, "pod1R pod2R pod3R pod4R far1R far2R far3R far4R"),
		{.name = "other",
		 .ip = "svc91",
		 .ports = "p 80>80",
		 .endpoints = "pod1R"},
	};
	struct addr first[N_KINDS];

	put_fresh(60, "pod1R pod2R pod3R pod4R far1R far2R far3R");
	get_all(*state, usual_client(), "svc90:80", first);
	instance_put(sluice, two, 2);
	assert_stuck(*state, usual_client(), "svc90:80", first);
}

static void bindings_outlive_the_daemon(void **state)
{
	static const int signals[] = {SIGTERM, SIGKILL};
	struct addr first[N_KINDS];

	if (instance_is_userspace())
		skip(); /* where they are in the daemon's memory */
	put_fresh(60, ALL_PODS);
	get_all(*state, usual_client(), "svc90:80", first);
	for (size_t i = 0; i < N_ELEMENTS(signals); i++) {
		(void)instance_end(sluice, signals[i]);
		assert_stuck(*state, usual_client(), "svc90:80", first);
		instance_start(sluice, NULL);
		assert_stuck(*state, usual_client(), "svc90:80", first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: the others leave bindings */
		cmocka_unit_test(explain_names_the_endpoint_of_a_client),
		cmocka_unit_test(a_returning_client_reaches_the_same_endpoint),
		cmocka_unit_test(
			every_address_of_a_service_port_leads_to_the_same_endpoint),
		cmocka_unit_test(policy_local_is_sticky_among_the_endpoints_of_the_node),
		cmocka_unit_test(without_affinity_clients_reach_all_endpoints),
		cmocka_unit_test(after_the_affinity_timeout_any_endpoint_may_be_chosen),
		cmocka_unit_test(each_new_connection_renews_the_affinity_timeout),
		cmocka_unit_test(
			clients_of_a_removed_endpoint_move_and_the_others_keep_theirs),
		cmocka_unit_test(other_changes_of_the_service_keep_the_bindings),
		cmocka_unit_test(bindings_outlive_the_daemon),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
