/*
 * On which of the host's addresses node ports are served.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/plan/plan.h"

static const char *const host_texts[] = {
	"127.0.0.1", "192.168.0.2", "192.168.1.2",     "169.254.7.7",
	"::1",	     "2001:db8::2", "2001:db8:0:1::2", "fe80::5054:ff:fe12:3456",
	"0.0.0.0",   "192.168.0.2", /* on two interfaces */
};

struct nodeport_case {
	const char *list; /* --nodeport-addresses, with blanks between */
	bool has_primary; /* the Node says 192.168.0.2 and 2001:db8::2 */
	const char *ipv4, *ipv6;
};

static const struct nodeport_case cases[] = {
	/* the primary address, by default and by name */
	{"", true, "192.168.0.2", "2001:db8::2"},
	{"primary", true, "192.168.0.2", "2001:db8::2"},
	/* unknown: everything that others can reach */
	{"", false, "192.168.0.2 192.168.1.2", "2001:db8::2 2001:db8:0:1::2"},
	{"primary", false, "192.168.0.2 192.168.1.2", "2001:db8::2 2001:db8:0:1::2"},
	/* all: but not loopback */
	{"all", true, "169.254.7.7 192.168.0.2 192.168.1.2",
	 "2001:db8::2 2001:db8:0:1::2 fe80::5054:ff:fe12:3456"},
	{"0.0.0.0/0", true, "169.254.7.7 192.168.0.2 192.168.1.2",
	 "2001:db8::2 2001:db8:0:1::2 fe80::5054:ff:fe12:3456"},
	/* networks of both families; of one only: then all of the other */
	{"192.168.1.0/24 2001:db8:0:1::/64", true, "192.168.1.2", "2001:db8:0:1::2"},
	{"192.168.0.0/24 192.168.1.0/24 2001:db8::/64", true, "192.168.0.2 192.168.1.2",
	 "2001:db8::2"},
	{"192.168.1.0/24", true, "192.168.1.2",
	 "2001:db8::2 2001:db8:0:1::2 fe80::5054:ff:fe12:3456"},
	/* a network without an address here is none at all */
	{"10.0.0.0/8", true, "", "2001:db8::2 2001:db8:0:1::2 fe80::5054:ff:fe12:3456"},
	/* loopback only by name or network */
	{"localhost", true, "127.0.0.1", "::1"},
	{"127.0.0.0/8", true, "127.0.0.1",
	 "2001:db8::2 2001:db8:0:1::2 fe80::5054:ff:fe12:3456"},
	{"all localhost", true, "127.0.0.1 169.254.7.7 192.168.0.2 192.168.1.2",
	 "::1 2001:db8::2 2001:db8:0:1::2 fe80::5054:ff:fe12:3456"},
	{"primary localhost", true, "127.0.0.1 192.168.0.2", "::1 2001:db8::2"},
	{"primary 192.168.1.0/24", true, "192.168.0.2 192.168.1.2", "2001:db8::2"},
};

static size_t parse_hosts(struct addr *ret)
{
	for (size_t i = 0; i < N_ELEMENTS(host_texts); i++)
		assert_int_equal(addr_parse(host_texts[i], &ret[i]), 0);
	return N_ELEMENTS(host_texts);
}

static int parse_list(const char *list, struct nodeport_addresses *ret, char **ret_error)
{
	_cleanup_(freep) char *copy = xstrdup(list);
	const char *items[8];
	char *save = NULL;
	size_t n = 0;

	for (char *word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		items[n++] = word;
	return nodeport_addresses_parse(items, n, ret, ret_error);
}

static void assert_addresses(const struct plan_options *options,
			     const struct object_node *node, enum family family,
			     const char *list, const char *want)
{
	struct buf got = BUF_INIT;
	char text[ADDR_TEXT_LEN];
	size_t n;
	_cleanup_(freep) struct addr *found =
		plan_nodeport_addresses(options, node, family, &n);

	for (size_t i = 0; i < n; i++)
		buf_printf(&got, "%s%s", i ? " " : "", addr_format(&found[i], text));
	if (strcmp(buf_string(&got), want) != 0)
		fail_msg("\"%s\": want %s, got %s", list, want, buf_string(&got));
	buf_fini(&got);
}

static void a_list_of_networks_selects_node_addresses(void **state)
{
	struct addr hosts[N_ELEMENTS(host_texts)], primary[2];
	const struct object_node node = {.addresses = primary, .n_addresses = 2};

	(void)state;
	assert_int_equal(addr_parse("192.168.0.2", &primary[0]), 0);
	assert_int_equal(addr_parse("2001:db8::2", &primary[1]), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct nodeport_case *c = &cases[i];
		struct nodeport_addresses np;
		struct plan_options options = {
			.nodeports = &np,
			.host_addresses = hosts,
			.n_host_addresses = parse_hosts(hosts),
			.loopback_nodeports = true,
		};
		_cleanup_(freep) char *error = NULL;

		assert_int_equal(parse_list(c->list, &np, &error), 0);
		assert_addresses(&options, c->has_primary ? &node : NULL, FAMILY_IPV4,
				 c->list, c->ipv4);
		assert_addresses(&options, c->has_primary ? &node : NULL, FAMILY_IPV6,
				 c->list, c->ipv6);
		nodeport_addresses_fini(&np);
	}
}

static void loopback_needs_a_data_plane_that_serves_it(void **state)
{
	struct addr hosts[N_ELEMENTS(host_texts)];
	struct nodeport_addresses np;
	const struct plan_options options = {
		.nodeports = &np,
		.host_addresses = hosts,
		.n_host_addresses = parse_hosts(hosts),
	};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	assert_int_equal(parse_list("localhost 127.0.0.0/8 ::1/128 192.168.0.0/24", &np,
				    &error),
			 0);
	assert_addresses(&options, NULL, FAMILY_IPV4, "localhost", "192.168.0.2");
	assert_addresses(&options, NULL, FAMILY_IPV6, "localhost", "");
	nodeport_addresses_fini(&np);
}

/* --bind-address beats the Node, and need not be on an interface yet. */
static void bind_address_overrides_the_node_addresses(void **state)
{
	struct addr hosts[N_ELEMENTS(host_texts)], of_node;
	const struct object_node node = {.addresses = &of_node, .n_addresses = 1};
	struct plan_options options = {
		.host_addresses = hosts,
		.n_host_addresses = parse_hosts(hosts),
	};

	(void)state;
	assert_int_equal(addr_parse("192.168.0.2", &of_node), 0);
	assert_int_equal(addr_parse("203.0.113.7", &options.node_ip[FAMILY_IPV4]), 0);
	assert_addresses(&options, &node, FAMILY_IPV4, "", "203.0.113.7");

	/* Loopback is what an unknown address is called: not an address to serve. */
	assert_int_equal(addr_parse("127.0.0.1", &options.node_ip[FAMILY_IPV4]), 0);
	assert_addresses(&options, &node, FAMILY_IPV4, "", "192.168.0.2 192.168.1.2");
}

static void invalid_lists_are_refused_with_a_reason(void **state)
{
	static const char *const bad[] = {"primry", "192.168.0.2", "192.168.0.0/33",
					  "primary invalid", "::/129"};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct nodeport_addresses np = {.n_cidrs = 77};
		_cleanup_(freep) char *error = NULL;

		assert_int_equal(parse_list(bad[i], &np, &error), -EINVAL);
		assert_int_equal(np.n_cidrs, 77);
		assert_non_null(error);
		assert_null(strchr(error, '\n'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_of_networks_selects_node_addresses),
		cmocka_unit_test(loopback_needs_a_data_plane_that_serves_it),
		cmocka_unit_test(bind_address_overrides_the_node_addresses),
		cmocka_unit_test(invalid_lists_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
