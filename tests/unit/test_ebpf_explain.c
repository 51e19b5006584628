/*
 * Which connections the programs decide, and the reasons for the others.
 */
#include "tests/test.h"

#include <string.h>

#include "bpf/ebpf_explain.h"
#include "core/cleanup.h"
#include "core/environment.h"

#define NODE	 CLIENT_NODE
#define POD	 CLIENT_POD
#define EXTERNAL CLIENT_EXTERNAL

static const struct {
	const char *address;
	uint8_t proto, action;
	enum client_class client;
	bool is_limited, masquerade_all, is_host_only;
	const char *why; /* NULL: the programs decide */
} rows[] = {
	{"10.96.0.1", IPPROTO_TCP, ACTION_BALANCE, NODE, .why = NULL},
	{"10.96.0.1", IPPROTO_UDP, ACTION_BALANCE, POD, .why = NULL},
	{"10.96.0.1", IPPROTO_TCP, ACTION_REJECT, POD, .why = NULL},
	{"127.0.0.1", IPPROTO_TCP, ACTION_BALANCE, NODE, .why = NULL},
	{"10.96.0.1", IPPROTO_TCP, ACTION_BALANCE, NODE, .is_host_only = true,
	 .why = NULL},
	{"10.96.0.1", IPPROTO_TCP, ACTION_BALANCE, EXTERNAL, .why = "not on this node"},
	{"10.96.0.1", IPPROTO_SCTP, ACTION_BALANCE, NODE, .why = "only TCP and UDP"},
	{"10.96.0.1", IPPROTO_UDP, ACTION_REJECT, POD, .why = "only TCP sockets"},
	{"10.96.0.1", IPPROTO_TCP, ACTION_DROP, NODE, .why = "can be dropped"},
	{"10.96.0.1", IPPROTO_TCP, ACTION_BALANCE, NODE, .is_limited = true,
	 .why = "source ranges"},
	{"10.96.0.1", IPPROTO_TCP, ACTION_BALANCE, NODE, .masquerade_all = true,
	 .why = "--masquerade-all"},
	{"10.96.0.1", IPPROTO_TCP, ACTION_BALANCE, POD, .is_host_only = true,
	 .why = "--ebpf-host-only"},
	{"127.0.0.1", IPPROTO_TCP, ACTION_BALANCE, POD, .why = "loopback address"},
};

static void each_passed_connection_has_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		const struct environment env = {.masquerade_all = rows[i].masquerade_all};
		struct endpoint endpoint = {.port = 8080, .flags = ENDPOINT_CLUSTER};
		struct frontend f = {.port = 80, .is_limited = rows[i].is_limited};
		struct service_spec spec = {
			.ns = "default",
			.name = "web",
			.port_name = "",
			.proto = rows[i].proto,
			.frontends = &f,
			.n_frontends = 1,
			.endpoints = &endpoint,
			.n_endpoints = 1,
		};
		struct sink_question q = {.client = rows[i].client, .env = &env};
		struct service *s;
		const char *why;

		assert_int_equal(addr_parse(rows[i].address, &f.addr), 0);
		assert_int_equal(addr_parse("10.244.0.1", &endpoint.addr), 0);
		for (unsigned client = 0; client < CLIENT_N; client++)
			f.from[client].action = rows[i].action;
		s = service_new(&spec);
		q.service = s;
		q.frontend = service_frontends(s);
		why = ebpf_why_passed(&q, rows[i].is_host_only);
		if (!rows[i].why != !why || (why && !strstr(why, rows[i].why)))
			fail_msg("row %zu: %s", i, why ? why : "decided");
		service_unref(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_passed_connection_has_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
