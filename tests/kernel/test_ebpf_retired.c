/*
 * Frontends of deleted services: they stay in the hash, where they pass, until
 * a grace period is due. So an addition after a deletion does not wait for one.
 */
#include <errno.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/ebpf_kernel.h"
#include "bpf/ebpf_table.h"
#include "core/cleanup.h"
#include "tests/kernel/ebpf_stage.h"
#include "tests/short_service.h"

#define VIP	 "10.96.0.10:80"
#define POD1	 "10.244.0.1:8080"
#define POD2	 "10.244.0.2:8080"
#define N_MANY	 1500
#define N_POOLS	 20000
#define MANY_MAX 1100 /* elements that stay at most, and some more */

static struct ebpf_stage *stage;
static struct ebpf_kernel *kernel;
static struct ebpf_table *table;
static const struct environment env;

static void apply(const struct service *old, const struct service *new)
{
	struct change change = {old, new};
	struct changeset cs = {.env = &env, .changes = &change, .n = 1};

	assert_int_equal(ebpf_table_apply(table, &cs), 0);
}

static void add_and_delete(const char *name, const char *frontend)
{
	struct service *s = short_service(name, IPPROTO_TCP, frontend, POD1);

	apply(NULL, s);
	apply(s, NULL);
	service_unref(s);
}

static size_t count_elements(void)
{
	_cleanup_(freep) struct ebpf_frontend_key *keys = NULL;
	_cleanup_(freep) struct ebpf_frontend *values = NULL;
	size_t n;

	assert_int_equal(ebpf_kernel_read_frontends(kernel, &keys, &values, &n), 0);
	return n;
}

static int set_up(void **state)
{
	struct changeset nothing = {.full = true, .env = &env};
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;
	unsigned n;

	(void)state;
	if (ebpf_kernel_open(&params, &kernel, &why) != 0)
		fail_msg("%s", why);
	table = ebpf_table_new(kernel);
	assert_int_equal(ebpf_table_apply(table, &nothing), 0);
	assert_int_equal(ebpf_kernel_attach(kernel, &n), 0);
	return 0;
}

static int tear_down(void **state)
{
	unsigned n;

	(void)state;
	ebpf_table_free(table);
	ebpf_kernel_close(kernel);
	assert_int_equal(ebpf_kernel_cleanup(stage->bpffs, &n), 0);
	return 0;
}

static void a_frontend_of_a_deleted_service_stays_and_passes(void **state)
{
	(void)state;
	add_and_delete("web", VIP);
	assert_int_equal(count_elements(), 1);
	assert_int_equal(ebpf_table_stats(table).n_frontends, 0);
	assert_true(ebpf_connect(SOCK_STREAM, VIP) < 0); /* nothing else knows it */
}

static void another_service_can_have_it(void **state)
{
	_cleanup_(short_service_unrefp) struct service *next =
		short_service("next", IPPROTO_TCP, VIP, POD2);

	(void)state;
	add_and_delete("web", VIP);
	apply(NULL, next);
	assert_int_equal(count_elements(), 1);
	assert_string_equal(ebpf_ask(SOCK_STREAM, VIP), POD2);
}

static void a_full_change_set_deletes_them_and_repairs_nothing(void **state)
{
	struct changeset nothing = {.full = true, .env = &env};

	(void)state;
	add_and_delete("web", VIP);
	assert_int_equal(ebpf_table_apply(table, &nothing), 0);
	assert_int_equal(count_elements(), 0);
	assert_int_equal(ebpf_table_stats(table).n_repaired, 0);
}

/* Where some processors have no timer tick, the kernel refuses membarrier(). */
static void a_grace_period_needs_no_membarrier(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

		if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(membarrier),
				     0) != 0 ||
		    seccomp_load(filter) != 0)
			_exit(1);
		_exit(ebpf_kernel_wait(kernel) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void only_so_many_stay(void **state)
{
	_cleanup_(short_service_unrefp) struct service *live =
		short_service("live", IPPROTO_TCP, VIP, POD2);
	size_t n_max = 0;

	(void)state;
	apply(NULL, live);
	for (unsigned i = 0; i < N_MANY; i++) {
		char name[16], frontend[32];
		size_t n;

		(void)snprintf(name, sizeof(name), "s%u", i);
		(void)snprintf(frontend, sizeof(frontend), "10.97.%u.%u:80", i / 250,
			       i % 250);
		add_and_delete(name, frontend);
		n = count_elements();
		if (n > n_max)
			n_max = n;
	}
	assert_in_range(n_max, 2, MANY_MAX);
	assert_string_equal(ebpf_ask(SOCK_STREAM, VIP), POD2);
}

/* Slots that were given back are used again: a cluster may run for months. */
static void changes_of_pools_do_not_make_the_maps_grow(void **state)
{
	static const char *const pools[] = {POD1, POD1 " " POD2, POD2};
	struct service *s = NULL;

	for (unsigned i = 0; i < N_POOLS; i++) {
		struct service *next = short_service("web", IPPROTO_TCP, VIP,
						     pools[i % N_ELEMENTS(pools)]);

		apply(s, next);
		if (s)
			service_unref(s);
		s = next;
	}
	assert_int_equal(ebpf_table_stats(table).n_grown, 0);
	assert_non_null(strchr(ebpf_ask(SOCK_STREAM, VIP), ':'));
	service_unref(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_frontend_of_a_deleted_service_stays_and_passes, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(another_service_can_have_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_full_change_set_deletes_them_and_repairs_nothing, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_grace_period_needs_no_membarrier,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_so_many_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			changes_of_pools_do_not_make_the_maps_grow, set_up, tear_down),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	ebpf_stage_serve(POD1 " " POD2);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
