/*
 * The dump is the daemon's ruleset in nft's syntax.  It can be loaded, its listing
 * equals that of the ruleset programmed over netlink, and a listing can be
 * loaded again.
 */
#include "tests/test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/kernel/nft_sample.h"

static const struct sample samples[] = {
	{.name = "web",
	 .frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false},
		       {"192.0.2.1:80", SAMPLE_EXTERNAL_LOCAL, true},
		       {"192.0.2.2:80", SAMPLE_EXTERNAL, true}},
	 .endpoints = "10.2.0.2:8080 10.2.0.3:8080L",
	 .allowed = "10.0.0.0/8 10.128.0.0/9 192.0.2.77/32 198.51.100.0/29"},
	{.name = "web6",
	 .frontends = {{"[fd00:96::1]:80", SAMPLE_CLUSTER_IP, false},
		       {"[2001:db8::1]:80", SAMPLE_EXTERNAL_LOCAL, true}},
	 .endpoints = "[fd01::2]:8080 [fd01::3]:8080L",
	 .allowed = "fd03::/64 fd03::1/128 fd04::/17"},
	{.name = "sticky",
	 .frontends = {{"10.96.0.2:80", SAMPLE_CLUSTER_LOCAL, false},
		       {"192.0.2.3:80", SAMPLE_EXTERNAL_LOCAL, false}},
	 .endpoints = "10.2.0.2:8080L 10.2.0.3:8080",
	 .affinity_sec = 60},
	{.name = "sticky6",
	 .frontends = {{"[fd00:96::2]:80", SAMPLE_CLUSTER_LOCAL, false},
		       {"[2001:db8::3]:80", SAMPLE_EXTERNAL_LOCAL, false}},
	 .endpoints = "[fd01::2]:8080 [fd01::3]:8081L",
	 .affinity_sec = 10800},
	{.name = "dns",
	 .proto = IPPROTO_UDP,
	 .frontends = {{"10.96.0.3:53", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "10.2.0.4:53 10.2.0.5:53 10.2.0.6:53"},
	{.name = "sctp",
	 .proto = IPPROTO_SCTP,
	 .frontends = {{"10.96.0.6:53", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "10.2.0.4:53"},
	{.name = "none", .frontends = {{"10.96.0.4:80", SAMPLE_REJECT, false}}},
	{.name = "away", .frontends = {{"[fd00:96::5]:80", SAMPLE_DROP, false}}},
};

/* Elements one a line, without counters, all lines sorted: sets have no order. */
#define NORMAL                                                                           \
	"sed -e 's/elements = { *//; s/ counter packets [0-9]* bytes [0-9]*//g; "        \
	"s/ }$//; s/,$//; s/^[ \t]*//' | tr -s ' ' | grep -v '^}*$' | sort"

static void write_file(const char *path, const char *text)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
}

static void dump_to(const struct sample_world *w, const char *path)
{
	_cleanup_(freep) struct change *changes = calloc(w->n, sizeof(*changes));
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	const struct changeset cs = {
		.full = true,
		.env = &w->env,
		.changes = changes,
		.n = w->n,
	};

	for (size_t i = 0; i < w->n; i++)
		changes[i].new = w->services[i];
	nft_dump(&cs, &text);
	write_file(path, buf_string(&text));
}

static void new_namespace(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
}

static void expect_text_and_kernel_agree(struct sample_world *w)
{
	_cleanup_(freep) char *programmed = NULL, *loaded = NULL, *again = NULL;
	char path[] = "/tmp/sluice-text-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(sample_full(w), 0);
	dump_to(w, path);
	programmed = shell("nft list ruleset | " NORMAL);
	/* nft forms what it lists; the list must load as it is */
	shell_run("nft list ruleset > %s.list", path);
	new_namespace();
	shell_run("nft -f %s 2>&1", path);
	loaded = shell("nft list ruleset | " NORMAL);
	new_namespace();
	shell_run("nft -f %s.list 2>&1", path);
	again = shell("nft list ruleset | " NORMAL);
	shell_run("rm %s %s.list", path, path);
	assert_string_equal(programmed, loaded);
	assert_string_equal(programmed, again);
	assert_non_null(strstr(programmed, "table ip6 sluice"));
}

static void services_list_as_expected(void **state)
{
	struct sample_world *w = *state;

	sample_put(w, samples, N_ELEMENTS(samples));
	expect_text_and_kernel_agree(w);
}

static void an_empty_state_lists_as_expected(void **state)
{
	expect_text_and_kernel_agree(*state);
}

static void a_ruleset_without_a_detector_lists_as_expected(void **state)
{
	struct sample_world *w = *state;

	sample_put(w, samples, N_ELEMENTS(samples));
	w->env.detector = POD_DETECTOR_NONE;
	w->env.n_service_cidrs = 0;
	expect_text_and_kernel_agree(w);
}

static void a_ruleset_that_masquerades_all_lists_as_expected(void **state)
{
	struct sample_world *w = *state;

	sample_put(w, samples, N_ELEMENTS(samples));
	w->env.masquerade_all = true;
	w->env.masquerade_mark = 0x80000000;
	expect_text_and_kernel_agree(w);
}

static void networks_that_end_inside_a_byte_list_as_expected(void **state)
{
	struct sample_world *w = *state;

	assert_int_equal(cidr_parse("10.244.8.0/21", &w->env.pod_cidr[FAMILY_IPV4]), 0);
	assert_int_equal(cidr_parse("fd00:244:8000::/35", &w->env.pod_cidr[FAMILY_IPV6]),
			 0);
	assert_int_equal(cidr_parse("10.96.0.1/32", &w->env.service_cidrs[0]), 0);
	assert_int_equal(cidr_parse("fd00:96::1/128", &w->env.service_cidrs[1]), 0);
	expect_text_and_kernel_agree(w);
}

static void detection_by_interface_lists_as_expected(void **state)
{
	struct sample_world *w = *state;

	w->env.detector = POD_DETECTOR_PREFIX;
	memcpy(w->env.ifname, "cni", 4);
	expect_text_and_kernel_agree(w);
}

static void detection_by_bridge_lists_as_expected(void **state)
{
	struct sample_world *w = *state;

	w->env.detector = POD_DETECTOR_BRIDGE;
	memcpy(w->env.ifname, "fifteen-letters", 16);
	expect_text_and_kernel_agree(w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(services_list_as_expected),
		TEST(an_empty_state_lists_as_expected),
		TEST(a_ruleset_without_a_detector_lists_as_expected),
		TEST(a_ruleset_that_masquerades_all_lists_as_expected),
		TEST(networks_that_end_inside_a_byte_list_as_expected),
		TEST(detection_by_interface_lists_as_expected),
		TEST(detection_by_bridge_lists_as_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
