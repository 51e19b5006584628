/*
 * Addresses are read as sloppily as kube-proxy does and written canonically.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "core/addr.h"
#include "core/cleanup.h"

static struct addr parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static struct cidr parsed_cidr(const char *text)
{
	struct cidr c;

	assert_int_equal(cidr_parse(text, &c), 0);
	return c;
}

static const struct {
	const char *text, *canonical; /* NULL: refused */
} addr_cases[] = {
	{"10.96.0.1", "10.96.0.1"},
	{"0.0.0.0", "0.0.0.0"},
	{"255.255.255.255", "255.255.255.255"},
	{"172.030.0.041", "172.30.0.41"},
	{"010.000000000008.09.1", "10.8.9.1"},
	{"::ffff:10.0.0.1", "10.0.0.1"},
	{"::FFFF:010.0.0.1", "10.0.0.1"},
	{"0:0:0:0:0:ffff:a00:1", "10.0.0.1"},
	{"::", "::"},
	{"::1", "::1"},
	{"1::", "1::"},
	{"2001:DB8::0001", "2001:db8::1"},
	{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
	{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
	{"1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"},
	{"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
	{"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
	{"00001::000f", "1::f"},
	{"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
	{"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"", NULL},
	{" 10.0.0.1", NULL},
	{"10.0.0.1 ", NULL},
	{"10.0.0", NULL},
	{"10.0.0.", NULL},
	{"10.0.0.1.2", NULL},
	{"10..0.1", NULL},
	{"10.96.0.256", NULL},
	{"10.96.0.99999999999999999999", NULL},
	{"10.0.0.-1", NULL},
	{"10.0.0.a", NULL},
	{"0x0a.0.0.1", NULL},
	{"10.0.0.1:80", NULL},
	{":", NULL},
	{":1", NULL},
	{"1:", NULL},
	{":::", NULL},
	{"1:::2", NULL},
	{"1::2::3", NULL},
	{"1:2:3:4:5:6:7", NULL},
	{"1:2:3:4:5:6:7:8:9", NULL},
	{"1:2:3:4:5:6:7::8", NULL},
	{"::1:2:3:4:5:6:7:8", NULL},
	{"10000::", NULL},
	{"g::", NULL},
	{"::1.2.3", NULL},
	{"1.2.3.4::", NULL},
	{"::1.2.3.4:5", NULL},
	{"1:2:3:4:5:6:7:1.2.3.4", NULL},
	{"fe80::1%eth0", NULL},
	{"[::1]", NULL},
	{"::1/64", NULL},
};

static void addresses_are_parsed_leniently_and_formatted_canonically(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(addr_cases); i++) {
		char buf[ADDR_TEXT_LEN];
		struct addr a;
		int err = addr_parse(addr_cases[i].text, &a);

		print_message("\"%s\"\n", addr_cases[i].text);
		assert_int_equal(err, addr_cases[i].canonical ? 0 : -EINVAL);
		if (!err)
			assert_string_equal(addr_format(&a, buf),
					    addr_cases[i].canonical);
	}
}

static void formatted_addresses_parse_back_and_equal_those_of_libc(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		char text[ADDR_TEXT_LEN];
		uint8_t bytes[16];
		struct addr a, b;

		/* Many zero bytes, so that there are gaps. */
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = rand() % 3 ? 0 : (uint8_t)rand();
		a = addr_from_bytes(i % 2 ? FAMILY_IPV6 : FAMILY_IPV4, bytes);
		(void)addr_format(&a, text);
		assert_int_equal(addr_parse(text, &b), 0);
		assert_true(addr_equal(&a, &b));
		assert_int_equal(inet_pton(family_af(addr_family(&a)), text, bytes), 1);
		b = addr_from_bytes(addr_family(&a), bytes);
		assert_true(addr_equal(&a, &b));
	}
}

static void a_refused_address_leaves_the_result_untouched(void **state)
{
	struct addr a = parsed("1.2.3.4"), before = a;

	(void)state;
	assert_int_equal(addr_parse("1.2.3.999", &a), -EINVAL);
	assert_int_equal(addr_parse("::1::", &a), -EINVAL);
	assert_true(addr_equal(&a, &before));
}

static const struct {
	const char *text;
	enum family family;
	bool is_unspecified, is_loopback, is_link_local;
} kind_cases[] = {
	{"0.0.0.0", FAMILY_IPV4, true, false, false},
	{"::", FAMILY_IPV6, true, false, false},
	{"127.0.0.1", FAMILY_IPV4, false, true, false},
	{"127.255.255.254", FAMILY_IPV4, false, true, false},
	{"128.0.0.1", FAMILY_IPV4, false, false, false},
	{"::1", FAMILY_IPV6, false, true, false},
	{"::2", FAMILY_IPV6, false, false, false},
	{"169.254.1.2", FAMILY_IPV4, false, false, true},
	{"169.253.1.2", FAMILY_IPV4, false, false, false},
	{"fe80::1", FAMILY_IPV6, false, false, true},
	{"febf::1", FAMILY_IPV6, false, false, true},
	{"fec0::1", FAMILY_IPV6, false, false, false},
};

static void addresses_know_their_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(kind_cases); i++) {
		struct addr a = parsed(kind_cases[i].text);

		print_message("%s\n", kind_cases[i].text);
		assert_int_equal(addr_family(&a), kind_cases[i].family);
		assert_int_equal(addr_is_unspecified(&a), kind_cases[i].is_unspecified);
		assert_int_equal(addr_is_loopback(&a), kind_cases[i].is_loopback);
		assert_int_equal(addr_is_link_local(&a), kind_cases[i].is_link_local);
	}
}

static void addresses_are_ordered_by_value(void **state)
{
	struct addr a = parsed("10.0.0.9"), b = parsed("10.0.0.10");

	(void)state;
	assert_true(addr_compare(&a, &b) < 0);
	assert_true(addr_compare(&b, &a) > 0);
	assert_int_equal(addr_compare(&a, &a), 0);
}

static const struct {
	const char *text, *canonical, *first, *last;
} cidr_cases[] = {
	{"10.1.2.3/8", "10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
	{" 203.0.113.0/25\t", "203.0.113.0/25", "203.0.113.0", "203.0.113.127"},
	{"010.001.0.0/016", "10.1.0.0/16", "10.1.0.0", "10.1.255.255"},
	{"10.0.0.1/32", "10.0.0.1/32", "10.0.0.1", "10.0.0.1"},
	{"1.2.3.4/0", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
	{"::ffff:10.1.1.1/104", "10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
	{"2001:db8::1/33", "2001:db8::/33",
	 "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
	{"::/0", "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"::1/128", "::1/128", "::1", "::1"},
	{"10.0.0.0", NULL, NULL, NULL},
	{"10.0.0.0/", NULL, NULL, NULL},
	{"10.0.0.0/33", NULL, NULL, NULL},
	{"10.0.0.0/-1", NULL, NULL, NULL},
	{"10.0.0.0/+8", NULL, NULL, NULL},
	{"10.0.0.0/8/8", NULL, NULL, NULL},
	{"10.0.0.0 /8", NULL, NULL, NULL},
	{"/8", NULL, NULL, NULL},
	{"::/129", NULL, NULL, NULL},
	{"::ffff:10.0.0.0/8", NULL, NULL, NULL},
	{"10.0.0.0/255.0.0.0", NULL, NULL, NULL},
	{"::/79", "::/79", "::", "::1:ffff:ffff:ffff"},
	{"::f:f1f:f:ffff:0:0/41", "::/41", "::", "::7f:ffff:ffff:ffff:ffff:ffff"},
	{"::/80", NULL, NULL, NULL},
	{"0:0:0:0:0:fffe::/95", NULL, NULL, NULL},
	{"::/81", "::/81", "::", "::7fff:ffff:ffff"},
	{"", NULL, NULL, NULL},
};

static void parsed_networks_have_no_blanks_and_no_host_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cidr_cases); i++) {
		char buf[CIDR_TEXT_LEN], first[ADDR_TEXT_LEN], last[ADDR_TEXT_LEN];
		struct addr a, b;
		struct cidr c;
		int err = cidr_parse(cidr_cases[i].text, &c);

		print_message("\"%s\"\n", cidr_cases[i].text);
		assert_int_equal(err, cidr_cases[i].canonical ? 0 : -EINVAL);
		if (err)
			continue;
		assert_string_equal(cidr_format(&c, buf), cidr_cases[i].canonical);
		cidr_range(&c, &a, &b);
		assert_string_equal(addr_format(&a, first), cidr_cases[i].first);
		assert_string_equal(addr_format(&b, last), cidr_cases[i].last);
		assert_true(cidr_contains(&c, &a));
		assert_true(cidr_contains(&c, &b));
	}
}

static const struct {
	const char *cidr, *addr;
	bool is_in;
} contains_cases[] = {
	{"10.0.0.0/8", "10.255.0.1", true},
	{"10.0.0.0/8", "11.0.0.0", false},
	{"10.0.0.0/31", "10.0.0.1", true},
	{"10.0.0.0/31", "10.0.0.2", false},
	{"0.0.0.0/0", "255.1.2.3", true},
	{"0.0.0.0/0", "::1", false},
	{"::/0", "2001:db8::1", true},
	{"::/0", "1.2.3.4", false},
	{"2001:db8::/32", "2001:db8:ffff::1", true},
	{"2001:db8::/32", "2001:db9::1", false},
};

static void a_network_contains_its_addresses_and_no_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(contains_cases); i++) {
		struct cidr c = parsed_cidr(contains_cases[i].cidr);
		struct addr a = parsed(contains_cases[i].addr);

		print_message("%s in %s\n", contains_cases[i].addr,
			      contains_cases[i].cidr);
		assert_int_equal(cidr_contains(&c, &a), contains_cases[i].is_in);
	}
}

static void equal_networks_have_the_same_length(void **state)
{
	struct cidr a = parsed_cidr("10.0.0.0/8"), b = parsed_cidr("10.0.0.0/9"),
		    c = parsed_cidr("10.9.9.9/8");

	(void)state;
	assert_false(cidr_equal(&a, &b));
	assert_true(cidr_equal(&a, &c));
	assert_int_equal(cidr_family(&a), FAMILY_IPV4);
}

static const struct {
	const char *text, *canonical;
	uint16_t port;
} port_cases[] = {
	{"1.2.3.4:80", "1.2.3.4:80", 80},
	{"[2001:DB8::1]:65535", "[2001:db8::1]:65535", 65535},
	{"[::ffff:1.2.3.4]:1", "1.2.3.4:1", 1},
	{"1.2.3.4", NULL, 0},
	{"1.2.3.4:", NULL, 0},
	{"1.2.3.4:0", NULL, 0},
	{"1.2.3.4:65536", NULL, 0},
	{"1.2.3.4:99999999999", NULL, 0},
	{"1.2.3.4:80x", NULL, 0},
	{"::1:80", NULL, 0},
	{"[::1]", NULL, 0},
	{"[::1:80", NULL, 0},
	{"[]:80", NULL, 0},
	{"[:80", NULL, 0},
	{":80", NULL, 0},
	{"", NULL, 0},
};

static void address_and_port_are_parsed_and_formatted(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(port_cases); i++) {
		char buf[ADDR_PORT_TEXT_LEN];
		struct addr a;
		uint16_t port;
		int err = addr_port_parse(port_cases[i].text, &a, &port);

		print_message("\"%s\"\n", port_cases[i].text);
		assert_int_equal(err, port_cases[i].canonical ? 0 : -EINVAL);
		if (err)
			continue;
		assert_int_equal(port, port_cases[i].port);
		assert_string_equal(addr_port_format(&a, port, buf),
				    port_cases[i].canonical);
	}
}

static void socket_addresses_convert_in_both_directions(void **state)
{
	static const char *const texts[] = {"1.2.3.4", "2001:db8::1"};
	struct sockaddr_storage ss;
	uint16_t port = 0;
	struct addr b;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct addr a = parsed(texts[i]);

		assert_int_equal(addr_to_sockaddr(&a, 8080, &ss),
				 i ? sizeof(struct sockaddr_in6)
				   : sizeof(struct sockaddr_in));
		assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &b, &port),
				 0);
		assert_true(addr_equal(&a, &b));
		assert_int_equal(port, 8080);
	}
	ss.ss_family = AF_UNIX;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &b, &port),
			 -EAFNOSUPPORT);
}

static void an_address_has_as_many_bytes_as_its_family(void **state)
{
	struct addr a = parsed("1.2.3.4"), b = parsed("2001:db8::1");
	size_t len;

	(void)state;
	assert_memory_equal(addr_bytes(&a, &len), "\1\2\3\4", 4);
	assert_int_equal(len, 4);
	assert_memory_equal(addr_bytes(&b, &len), b.b, 16);
	assert_int_equal(len, 16);
}

static void protocols_have_names(void **state)
{
	(void)state;
	assert_string_equal(proto_name(IPPROTO_SCTP), "SCTP");
	assert_null(proto_name(IPPROTO_ICMP));
	assert_int_equal(proto_parse("tcp"), IPPROTO_TCP);
	assert_int_equal(proto_parse("UDP"), IPPROTO_UDP);
	assert_int_equal(proto_parse("TCPX"), 0);
	assert_int_equal(proto_parse(""), 0);
	assert_string_equal(family_name(FAMILY_IPV6), "IPv6");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			addresses_are_parsed_leniently_and_formatted_canonically),
		cmocka_unit_test(formatted_addresses_parse_back_and_equal_those_of_libc),
		cmocka_unit_test(a_refused_address_leaves_the_result_untouched),
		cmocka_unit_test(addresses_know_their_kind),
		cmocka_unit_test(addresses_are_ordered_by_value),
		cmocka_unit_test(parsed_networks_have_no_blanks_and_no_host_bits),
		cmocka_unit_test(a_network_contains_its_addresses_and_no_others),
		cmocka_unit_test(equal_networks_have_the_same_length),
		cmocka_unit_test(address_and_port_are_parsed_and_formatted),
		cmocka_unit_test(socket_addresses_convert_in_both_directions),
		cmocka_unit_test(an_address_has_as_many_bytes_as_its_family),
		cmocka_unit_test(protocols_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
