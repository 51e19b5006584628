/*
 * Kernel settings, in a folder in place of the root of a host.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "proxy/host/sysctls.h"
#include "tests/unit/capture.h"
#include "tests/unit/world.h"

#define NETFILTER "proc/sys/net/netfilter/"
#define HASH_SIZE "sys/module/nf_conntrack/parameters/hashsize"
#define N_CPUS	  4

static const struct {
	const char *path, *value;
} files[] = {
	{HASH_SIZE, "65536"},
	{NETFILTER "nf_conntrack_max", "262144"},
	{NETFILTER "nf_conntrack_tcp_timeout_established", "432000"},
	{NETFILTER "nf_conntrack_tcp_timeout_close_wait", "60"},
	{NETFILTER "nf_conntrack_udp_timeout", "30"},
	{NETFILTER "nf_conntrack_udp_timeout_stream", "120"},
	{NETFILTER "nf_conntrack_tcp_be_liberal", "0"},
};

static struct world world;

static void set(const char *name, const char *value)
{
	world_write(&world, name, value);
}

static long get(const char *name)
{
	_cleanup_(freep) char *text = world_read(&world, name);
	long value = -1;

	assert_int_equal(sscanf(text, "%ld", &value), 1);
	return value;
}

static int make_root(void **state)
{
	(void)state;
	world_open(&world);
	for (size_t i = 0; i < N_ELEMENTS(files); i++)
		set(files[i].path, files[i].value);
	return 0;
}

static int remove_root(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

/* kube-proxy's defaults */
static const struct conntrack_settings defaults = {
	.max_per_core = 32768,
	.min = 131072,
	.tcp_established_sec = 86400,
	.tcp_close_wait_sec = 3600,
};

static const struct {
	int32_t per_core, min;
	unsigned n_cpus;
	int64_t max;
} sizes[] = {
	{32768, 131072, 2, 131072},
	{32768, 131072, 32, 1048576},
	{32768, 131072, 64, 1048576}, /* kube-proxy 1.36 goes no further */
	{0, 131072, 64, 0},
	{32768, 0, 1, 32768},
	{32768, 2000000, 2, 2000000}, /* unless min is larger */
	{2147483647, 0, 1024, 1048576},
};

static void connections_to_track_grow_with_the_processors(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		const struct conntrack_settings s = {.max_per_core = sizes[i].per_core,
						     .min = sizes[i].min};

		assert_int_equal(sysctls_conntrack_max(&s, sizes[i].n_cpus),
				 sizes[i].max);
	}
}

static void default_sysctls_are_written(void **state)
{
	(void)state;
	set(NETFILTER "nf_conntrack_max", "65536");
	assert_int_equal(sysctls_apply(&defaults, N_CPUS, world.folder), 0);
	assert_int_equal(get(NETFILTER "nf_conntrack_max"), 131072);
	assert_int_equal(get(NETFILTER "nf_conntrack_tcp_timeout_established"), 86400);
	assert_int_equal(get(NETFILTER "nf_conntrack_tcp_timeout_close_wait"), 3600);
	/* not configured */
	assert_int_equal(get(NETFILTER "nf_conntrack_udp_timeout"), 30);
	assert_int_equal(get(NETFILTER "nf_conntrack_udp_timeout_stream"), 120);
	assert_int_equal(get(NETFILTER "nf_conntrack_tcp_be_liberal"), 0);
}

static void the_table_of_buckets_only_grows(void **state)
{
	(void)state;
	assert_int_equal(sysctls_apply(&defaults, N_CPUS, world.folder), 0);
	assert_int_equal(get(HASH_SIZE), 65536);
	assert_int_equal(sysctls_apply(&defaults, 64, world.folder), 0);
	assert_int_equal(get(HASH_SIZE), 1048576 / 4);
}

static void udp_timeouts_and_liberal_tcp_are_written_when_configured(void **state)
{
	const struct conntrack_settings s = {
		.udp_sec = 20,
		.udp_stream_sec = 90,
		.tcp_be_liberal = true,
	};

	(void)state;
	assert_int_equal(sysctls_apply(&s, N_CPUS, world.folder), 0);
	assert_int_equal(get(NETFILTER "nf_conntrack_udp_timeout"), 20);
	assert_int_equal(get(NETFILTER "nf_conntrack_udp_timeout_stream"), 90);
	assert_int_equal(get(NETFILTER "nf_conntrack_tcp_be_liberal"), 1);
	assert_int_equal(get(NETFILTER "nf_conntrack_max"), 262144);
}

static time_t modified(const char *name)
{
	_cleanup_(freep) char *path = world_path(&world, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino ? st.st_mtim.tv_nsec : 0;
}

/* The table may be full of connections that a smaller one would not take. */
static void a_larger_table_of_connections_is_kept_and_that_is_logged(void **state)
{
	const char *log;

	(void)state;
	capture_start();
	assert_int_equal(sysctls_apply(&defaults, N_CPUS, world.folder), 0);
	log = capture_end();
	assert_int_equal(get(NETFILTER "nf_conntrack_max"), 262144);
	assert_non_null(strstr(log, "nf_conntrack_max stays 262144, which is more than "
				    "131072\n"));
}

static void the_log_says_what_a_setting_was_before(void **state)
{
	(void)state;
	set(NETFILTER "nf_conntrack_max", "65536");
	capture_start();
	assert_int_equal(sysctls_apply(&defaults, N_CPUS, world.folder), 0);
	assert_non_null(
		strstr(capture_end(), "nf_conntrack_max is now 131072, was 65536\n"));
}

/* In a container /proc may be read-only although all values are correct. */
static void correct_sysctls_are_not_written(void **state)
{
	time_t before;

	(void)state;
	set(NETFILTER "nf_conntrack_max", "131072");
	before = modified(NETFILTER "nf_conntrack_max");
	assert_int_equal(sysctls_apply(&defaults, N_CPUS, world.folder), 0);
	assert_int_equal(modified(NETFILTER "nf_conntrack_max"), before);
}

static void a_missing_sysctl_is_logged_and_the_others_are_written(void **state)
{
	(void)state;
	world_remove(&world, NETFILTER "nf_conntrack_max");
	assert_int_equal(sysctls_apply(&defaults, N_CPUS, world.folder), -ENOENT);
	assert_int_equal(get(NETFILTER "nf_conntrack_tcp_timeout_established"), 86400);
}

static void a_sysctl_that_is_not_a_number_is_an_error(void **state)
{
	(void)state;
	set(NETFILTER "nf_conntrack_max", "lots");
	assert_int_equal(sysctls_apply(&defaults, N_CPUS, world.folder), -EINVAL);
}

#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_to_track_grow_with_the_processors),
		IN_ROOT(default_sysctls_are_written),
		IN_ROOT(the_table_of_buckets_only_grows),
		IN_ROOT(a_larger_table_of_connections_is_kept_and_that_is_logged),
		IN_ROOT(the_log_says_what_a_setting_was_before),
		IN_ROOT(udp_timeouts_and_liberal_tcp_are_written_when_configured),
		IN_ROOT(correct_sysctls_are_not_written),
		IN_ROOT(a_missing_sysctl_is_logged_and_the_others_are_written),
		IN_ROOT(a_sysctl_that_is_not_a_number_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
