/*
 * The parts of the userspace plane that need no sockets: the order of endpoints,
 * those set aside, bindings of clients, the PROXY header, the socket filter and the
 * limit of descriptors.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/mem.h"
#include "proxy/relay/relay_affinity.h"
#include "proxy/relay/relay_choice.h"
#include "proxy/relay/relay_filter.h"
#include "proxy/relay/relay_header.h"
#include "proxy/relay/relay_limit.h"
#include "proxy/relay/relay_sink_private.h"
#include "proxy/relay/relay_state.h"
#include "tests/test.h"

#define LO 1

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void an_order_has_each_endpoint_once(void **state)
{
	for (uint32_t n = 0; n <= 64; n++)
		for (uint64_t random = 0; random < 40; random++) {
			struct relay_order o;
			uint64_t seen = 0;
			uint32_t i, count = 0;

			relay_order_init(&o, n, random * UINT64_C(0x9e3779b97f4a7c15));
			while (relay_order_next(&o, &i)) {
				assert_true(i < n);
				seen |= UINT64_C(1) << i;
				count++;
			}
			assert_int_equal(count, n);
			assert_int_equal(__builtin_popcountll(seen), n);
		}
}

static void an_endpoint_is_set_aside_for_its_time(void **state)
{
	struct relay_aside *aside = xcalloc(1, sizeof(*aside));
	struct addr a = addr("10.0.0.1");
	uint64_t since_ms = 0;

	relay_aside_put(aside, &a, 80, 1000, 500);
	assert_true(relay_aside_has(aside, &a, 80, 1499, 100, &since_ms));
	assert_int_equal(since_ms, 1000);
	assert_false(relay_aside_has(aside, &a, 80, 1500, 100, &since_ms));
	assert_false(relay_aside_has(aside, &a, 81, 1001, 100, &since_ms));
	free(aside);
}

/* Else all clients would wait for a black hole each time. */
/* By each worker, until the same time. */
static void endpoints_set_aside_are_handed_over(void **state)
{
	struct relay_worker *workers[] = {xcalloc(1, sizeof(struct relay_worker)),
					  xcalloc(1, sizeof(struct relay_worker))};
	struct relay_sink sink = {.shared = {.workers = workers, .n_workers = 2}};
	const struct relay_state_aside aside = {.addr = addr("10.0.0.1"),
						.port = 80,
						.until_ms = relay_now_ms() + 3600000};
	struct relay_state_writer writer = {.totals = {7}};
	int fd = memfd_create("state", MFD_CLOEXEC);
	uint64_t since_ms;
	const char *why;

	relay_state_add(&writer, RELAY_STATE_ASIDE, &aside);
	assert_int_equal(relay_state_write(&writer, fd), 0);
	assert_int_equal(relay_state_read(fd, &sink.state, &why), 0);
	relay_sink_restore_workers(&sink);
	for (int i = 0; i < 2; i++) {
		assert_true(relay_aside_has(&workers[i]->aside, &aside.addr, 80,
					    aside.until_ms - 1, 0, &since_ms));
		assert_false(relay_aside_has(&workers[i]->aside, &aside.addr, 80,
					     aside.until_ms, 0, &since_ms));
		free(workers[i]);
	}
	relay_state_free(sink.state);
	(void)close(fd);
}

static void one_connection_tries_an_endpoint_again(void **state)
{
	struct relay_aside *aside = xcalloc(1, sizeof(*aside));
	struct addr a = addr("10.0.0.1");
	uint64_t since_ms = 0;

	relay_aside_put(aside, &a, 80, 1000, 500);
	assert_false(relay_aside_has(aside, &a, 80, 2000, 100, &since_ms));
	assert_true(relay_aside_has(aside, &a, 80, 2000, 100, &since_ms));
	assert_int_equal(since_ms, 1000);
	/* no result: the next one */
	assert_false(relay_aside_has(aside, &a, 80, 2100, 100, &since_ms));
	relay_aside_clear(aside, &a, 81);
	assert_true(relay_aside_has(aside, &a, 80, 2101, 100, &since_ms));
	relay_aside_clear(aside, &a, 80);
	assert_false(relay_aside_has(aside, &a, 80, 2102, 100, &since_ms));
	assert_false(relay_aside_has(aside, &a, 80, 2102, 100, &since_ms));
	free(aside);
}

static void a_binding_belongs_to_client_and_service_for_its_time(void **state)
{
	struct relay_affinity *t = relay_affinity_new();
	struct addr client = addr("10.0.0.1"), endpoint = addr("10.1.0.1"), found;
	uint16_t port;

	relay_affinity_put(t, 7, &client, 1000, 10, &endpoint, 8080);
	assert_true(relay_affinity_find(t, 7, &client, 10999, &found, &port));
	assert_true(addr_equal(&found, &endpoint));
	assert_int_equal(port, 8080);
	assert_false(relay_affinity_find(t, 7, &client, 11000, &found, &port));
	assert_false(relay_affinity_find(t, 8, &client, 2000, &found, &port));
	assert_false(relay_affinity_find(t, 7, &endpoint, 2000, &found, &port));
	/* each connection extends it */
	relay_affinity_put(t, 7, &client, 9000, 10, &endpoint, 8080);
	assert_true(relay_affinity_find(t, 7, &client, 18999, &found, &port));
	relay_affinity_free(t);
}

static void many_clients(struct relay_affinity *t, uint32_t n, uint64_t now_ms)
{
	struct addr endpoint = addr("10.1.0.1");

	for (uint32_t i = 0; i < n; i++) {
		struct addr client = addr("2001:db8::");

		memcpy(client.b + 8, &i, sizeof(i));
		relay_affinity_put(t, 1, &client, now_ms, 10, &endpoint, 80);
	}
}

static void the_table_of_bindings_is_bounded_and_loses_old_ones(void **state)
{
	struct relay_affinity *t = relay_affinity_new();

	many_clients(t, 600000, 0);
	assert_true(relay_affinity_n(t) > 200000);
	assert_true(relay_affinity_n(t) <= 64 * 4096);
	many_clients(t, 300000, 20000); /* the earlier ones are over */
	assert_true(relay_affinity_n(t) <= 64 * 4096);
	relay_affinity_free(t);
}

static void the_proxy_header_has_both_addresses(void **state)
{
	static const uint8_t v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
				    "\x0a\0\0\1\x0a\x60\0\1\x30\x39\0\x50";
	struct addr client = addr("10.0.0.1"), frontend = addr("10.96.0.1");
	struct addr client6 = addr("2001:db8::1"), frontend6 = addr("fd00::1");
	uint8_t buf[RELAY_HEADER_LEN];
	size_t len = relay_header_write(1, &client, 12345, &frontend, 80, buf);

	assert_int_equal(len, strlen("PROXY TCP4 10.0.0.1 10.96.0.1 12345 80\r\n"));
	assert_memory_equal(buf, "PROXY TCP4 10.0.0.1 10.96.0.1 12345 80\r\n", len);
	len = relay_header_write(2, &client, 12345, &frontend, 80, buf);
	assert_int_equal(len, sizeof(v2) - 1);
	assert_memory_equal(buf, v2, len);
	len = relay_header_write(1, &client6, 1, &frontend6, 2, buf);
	assert_memory_equal(buf, "PROXY TCP6 2001:db8::1 fd00::1 1 2\r\n", len);
	len = relay_header_write(2, &client6, 1, &frontend6, 2, buf);
	assert_int_equal(len, 16 + 36);
	assert_int_equal(buf[13], 0x21);
	assert_memory_equal(buf + 16, client6.b, 16);
	assert_memory_equal(buf + 32, frontend6.b, 16);
}

static struct relay_service *limited(enum family family, const char *const *ranges,
				     size_t n, const uint8_t actions[CLIENT_N],
				     const struct relay_classifier *classifier)
{
	struct cidr allowed[4];
	struct frontend f = {
		.addr = addr(family == FAMILY_IPV4 ? "192.0.2.1" : "2001:db8:ffff::1"),
		.port = 80,
		.kind = FRONTEND_LOAD_BALANCER,
		.is_limited = n > 0,
	};
	struct service *s;
	struct relay_service *made;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(cidr_parse(ranges[i], &allowed[i]), 0);
	for (int class = 0; class < CLIENT_N; class ++)
		f.from[class].action = actions[class];
	s = service_new(&(struct service_spec){
		.ns = "test",
		.name = "web",
		.port_name = "",
		.family = family,
		.proto = IPPROTO_TCP,
		.frontends = &f,
		.n_frontends = 1,
		.allowed = allowed,
		.n_allowed = n,
	});
	made = relay_service_new(s, classifier, NULL);
	service_unref(s);
	return made;
}

/* Loads of a filter: the source address, or the interface. */
static uint32_t load(uint32_t k, const struct addr *source, unsigned ifindex)
{
	size_t start = addr_family(source) == FAMILY_IPV4 ? 12 : 8, len;
	const uint8_t *bytes = addr_bytes(source, &len);
	uint32_t word;

	if (k == (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX))
		return ifindex;
	memcpy(&word, bytes + (k - ((uint32_t)SKF_NET_OFF + start)), sizeof(word));
	return ntohl(word);
}

/* What the kernel would do: does a packet from there, by this interface, pass? */
static bool passes(const struct relay_filter *f, const struct addr *source,
		   unsigned ifindex)
{
	uint32_t a = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct sock_filter *step = &f->code[i];

		if (step->code == (BPF_LD | BPF_W | BPF_ABS))
			a = load(step->k, source, ifindex);
		else if (step->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= step->k;
		else if (step->code == (BPF_JMP | BPF_JEQ | BPF_K))
			i += a == step->k ? step->jt : step->jf;
		else if (step->code == (BPF_JMP | BPF_JA))
			i += step->k;
		else
			return step->k != 0;
	}
	return true;
}

static void assert_passes(struct relay_service *s, const char *source, unsigned ifindex,
			  bool expected)
{
	struct relay_filter f = {0};
	struct addr a = addr(source);

	assert_true(relay_filter_build(&f, s, service_frontends(s->service)));
	if (passes(&f, &a, ifindex) != expected)
		fail_msg("%s by interface %u should %spass", source, ifindex,
			 expected ? "" : "not ");
	relay_filter_fini(&f);
}

static const uint8_t all_reject[CLIENT_N] = {ACTION_REJECT, ACTION_REJECT, ACTION_REJECT};

static void source_ranges_and_the_own_address_pass_the_filter(void **state)
{
	static const char *const ranges4[] = {"10.1.0.0/16", "203.0.113.128/25",
					      "8.8.8.8/32"};
	static const char *const ranges6[] = {"2001:db8:1::/48", "2001:db8:2::7/128",
					      "2001:db8:3:8000::/49"};
	static const char *const everything[] = {"0.0.0.0/0"};
	struct relay_classifier c = {.loopback_index = LO};
	struct relay_service *s = limited(FAMILY_IPV4, ranges4, 3, all_reject, &c);

	assert_passes(s, "10.1.255.1", 2, true);
	assert_passes(s, "10.2.0.1", 2, false);
	assert_passes(s, "203.0.113.129", 2, true);
	assert_passes(s, "203.0.113.127", 2, false);
	assert_passes(s, "8.8.8.8", 2, true);
	assert_passes(s, "8.8.8.9", 2, false);
	assert_passes(s, "192.0.2.1", 2, true); /* the frontend's */
	relay_service_unref(s);
	s = limited(FAMILY_IPV6, ranges6, 3, all_reject, &c);
	assert_passes(s, "2001:db8:1:ffff::9", 2, true);
	assert_passes(s, "2001:db8:2::7", 2, true);
	assert_passes(s, "2001:db8:2::8", 2, false);
	assert_passes(s, "2001:db8:3:8001::1", 2, true);
	assert_passes(s, "2001:db8:3:7fff::1", 2, false);
	assert_passes(s, "2001:db8:ffff::1", 2, true);
	relay_service_unref(s);
	s = limited(FAMILY_IPV4, everything, 1, all_reject, &c);
	assert_passes(s, "198.51.100.1", 2, true);
	relay_service_unref(s);
}

static void dropped_classes_do_not_pass_the_filter(void **state)
{
	static const uint8_t inside_only[CLIENT_N] = {ACTION_REJECT, ACTION_REJECT,
						      ACTION_DROP};
	static const uint8_t nothing[CLIENT_N] = {ACTION_DROP, ACTION_DROP, ACTION_DROP};
	struct relay_classifier by_cidr = {
		.detector = POD_DETECTOR_CIDR,
		.pod_cidr = {addr("10.244.0.0"), 16},
		.loopback_index = LO,
	};
	struct relay_classifier by_interface = {
		.detector = POD_DETECTOR_PREFIX,
		.ifname = "veth",
		.loopback_index = LO,
	};
	struct relay_service *s = limited(FAMILY_IPV4, NULL, 0, inside_only, &by_cidr);

	assert_passes(s, "10.244.1.1", 2, true);
	assert_passes(s, "192.0.2.9", LO, true);
	assert_passes(s, "192.0.2.9", 2, false);
	relay_service_unref(s);
	s = limited(FAMILY_IPV4, NULL, 0, inside_only, &by_interface);
	assert_passes(s, "192.0.2.9", 2, true); /* reset later, if it is not a pod */
	relay_service_unref(s);
	s = limited(FAMILY_IPV4, NULL, 0, nothing, &by_cidr);
	assert_passes(s, "10.244.1.1", 2, false);
	assert_passes(s, "192.0.2.9", LO, false);
	relay_service_unref(s);
	s = limited(FAMILY_IPV4, NULL, 0, all_reject, &by_cidr);
	assert_passes(s, "192.0.2.9", 2, true);
	relay_service_unref(s);
}

/* Of 1000 descriptors, with this many listeners of TCP and UDP. */
static const struct {
	const char *name;
	unsigned n_tcp, n_udp;
	uint32_t n_ports, n_conns, n_flows;
} shares[] = {
	{"none yet", 0, 0, 5000, 500, 1000},
	{"only TCP", 10, 0, 5000, 495, 330},
	{"only UDP", 0, 10, 5000, 0, 990},
	{"both", 5, 5, 5000, 330, 330},
	{"both, and few ports", 5, 5, 90, 450, 90},
	{"as many listeners as there may be", 500, 0, 5000, 250, 166},
};

static void descriptors_are_shared_by_what_uses_them(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(shares); i++) {
		struct relay_limit l = {.n_max = 1000,
					.n_max_ears = 500,
					.n_max_flows = shares[i].n_ports};

		print_message("  %s\n", shares[i].name);
		for (unsigned k = 0; k < shares[i].n_tcp; k++)
			assert_true(relay_limit_take_ear(&l, IPPROTO_TCP));
		for (unsigned k = 0; k < shares[i].n_udp; k++)
			assert_true(relay_limit_take_ear(&l, IPPROTO_UDP));
		assert_int_equal(relay_limit_max_conns(&l), shares[i].n_conns);
		assert_int_equal(relay_limit_max_flows(&l), shares[i].n_flows);
	}
}

static void listeners_leave_room_for_connections_and_flows(void **state)
{
	struct relay_limit l = {.n_max = 11, .n_max_ears = 5, .n_max_flows = 100};

	for (int i = 0; i < 5; i++)
		assert_true(relay_limit_take_ear(&l, i % 2 ? IPPROTO_UDP : IPPROTO_TCP));
	assert_false(relay_limit_take_ear(&l, IPPROTO_TCP));
	assert_false(relay_limit_take_ear(&l, IPPROTO_UDP));
	for (int i = 0; i < 2; i++) {
		assert_true(relay_limit_take_conn(&l));
		assert_true(relay_limit_take_flow(&l));
	}
	assert_false(relay_limit_take_conn(&l));
	assert_false(relay_limit_take_flow(&l));
	relay_limit_give_conn(&l);
	assert_true(relay_limit_take_conn(&l));
	relay_limit_give_flow(&l);
	assert_true(relay_limit_take_flow(&l));
}

/* The first listener of the other protocol makes it shrink. */
static void a_share_that_shrinks_is_never_exceeded_together(void **state)
{
	struct relay_limit l = {.n_max = 31, .n_max_ears = 5, .n_max_flows = 100};
	unsigned n = 0;

	assert_true(relay_limit_take_ear(&l, IPPROTO_UDP));
	while (relay_limit_take_flow(&l))
		n++;
	assert_int_equal(n, 30);
	assert_false(relay_limit_has_excess_flows(&l));
	assert_true(relay_limit_take_ear(&l, IPPROTO_TCP));
	assert_true(relay_limit_has_excess_flows(&l));
	assert_false(relay_limit_take_conn(&l)); /* although its share is free */
	for (; n > 9; n--)
		relay_limit_give_flow(&l);
	assert_false(relay_limit_has_excess_flows(&l));
	for (n = 0; relay_limit_take_conn(&l); n++)
		;
	assert_int_equal(n, 10);
	assert_false(relay_limit_take_flow(&l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_has_each_endpoint_once),
		cmocka_unit_test(an_endpoint_is_set_aside_for_its_time),
		cmocka_unit_test(endpoints_set_aside_are_handed_over),
		cmocka_unit_test(one_connection_tries_an_endpoint_again),
		cmocka_unit_test(a_binding_belongs_to_client_and_service_for_its_time),
		cmocka_unit_test(the_table_of_bindings_is_bounded_and_loses_old_ones),
		cmocka_unit_test(the_proxy_header_has_both_addresses),
		cmocka_unit_test(source_ranges_and_the_own_address_pass_the_filter),
		cmocka_unit_test(dropped_classes_do_not_pass_the_filter),
		cmocka_unit_test(descriptors_are_shared_by_what_uses_them),
		cmocka_unit_test(listeners_leave_room_for_connections_and_flows),
		cmocka_unit_test(a_share_that_shrinks_is_never_exceeded_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
