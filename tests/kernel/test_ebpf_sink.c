/*
 * The sink by itself: Pods that opt out, programs that another process detaches,
 * and pins that belong to another daemon or network namespace.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/ebpf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/ebpf_stage.h"
#include "tests/short_service.h"

#define VIP	 "10.96.0.10:80"
#define ENDPOINT "127.0.0.2:8080"
#define UID	 "11-22"
#define POD	 "kubepods-pod11_22.slice"
#define WAIT_MS	 10000

static struct ebpf_stage *stage;
static struct sink *sink;
static struct service *service;
static const struct environment env;

static void apply_all(void)
{
	struct change change = {NULL, service};
	struct changeset cs = {.full = true, .env = &env, .changes = &change, .n = 1};

	assert_int_equal(sink_apply(sink, &cs), 0);
}

static int set_up(void **state)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;

	(void)state;
	if (ebpf_sink_new(&params, &sink, &why) != 0)
		fail_msg("%s", why);
	service = short_service("web", IPPROTO_TCP, VIP, ENDPOINT);
	apply_all();
	return 0;
}

static int tear_down(void **state)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	unsigned n;

	(void)state;
	sink_close(sink);
	service_unref(service);
	assert_int_equal(ebpf_cleanup(&params, &n), 0);
	return 0;
}

/* The answer of a process in that cgroup below the stage's: 0, or its errno. */
static int connect_in(const char *cgroup)
{
	_cleanup_(freep) char *procs =
		xasprintf("%s/%s/cgroup.procs", stage->cgroup, cgroup);
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(procs, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(1);
		fd = ebpf_connect(SOCK_STREAM, VIP);
		_exit(fd >= 0 ? 0 : -fd);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The kernel detaches a program some time after its pin was removed. */
static void await_connect_in(const char *cgroup)
{
	int err;

	for (int i = 0; (err = connect_in(cgroup)) != 0; i++) {
		assert_int_equal(err, ENETUNREACH);
		assert_true(i < WAIT_MS);
		(void)usleep(1000);
	}
}

/* Until the sink looks again; what its check says. */
static bool await_check(void)
{
	struct pollfd fd = {.fd = sink_fd(sink), .events = POLLIN};

	assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
	return sink_check(sink);
}

/* The output of `sluice diff`; the caller frees it. */
static char *differences(void)
{
	struct change change = {NULL, service};
	struct changeset all = {.full = true, .env = &env, .changes = &change, .n = 1};
	struct sink_diff *diff = sink->ops->view->diff(sink, &all);
	char *lines;
	size_t n;
	int more;

	while ((more = sink_diff_step(diff)) == 1)
		;
	assert_int_equal(more, 0);
	lines = xstrdup(sink_diff_lines(diff, &n));
	sink_diff_free(diff);
	return lines;
}

static void expect_differences(const char *expected)
{
	_cleanup_(freep) char *lines = differences();

	assert_string_equal(lines, expected);
}

static size_t count_pins(const char *prefix)
{
	_cleanup_(freep) char *path = xasprintf("%s/sluice", stage->bpffs);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	(void)closedir(dir);
	return n;
}

static void make_cgroup(const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", stage->cgroup, name);

	assert_int_equal(mkdir(path, 0755), 0);
}

static void remove_cgroup(const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", stage->cgroup, name);

	for (int i = 0; rmdir(path) != 0; i++) {
		assert_int_equal(errno, EBUSY); /* its last process has just ended */
		assert_true(i < WAIT_MS);
		(void)usleep(1000);
	}
}

static void a_pod_opts_out_for_as_long_as_it_asks_for_it(void **state)
{
	static const char *const uids[] = {UID};

	(void)state;
	make_cgroup("kubepods.slice");
	make_cgroup("kubepods.slice/" POD);
	assert_int_equal(connect_in("kubepods.slice/" POD), 0);
	sink->ops->exclude_pods(sink, uids, 1);
	assert_int_equal(connect_in("kubepods.slice/" POD), ENETUNREACH);
	assert_int_equal(connect_in("kubepods.slice"), 0);
	sink->ops->exclude_pods(sink, NULL, 0);
	await_connect_in("kubepods.slice/" POD);
	assert_int_equal(count_pins("skip_"), 0);
	remove_cgroup("kubepods.slice/" POD);
	remove_cgroup("kubepods.slice");
}

static void a_cgroup_that_comes_later_is_found_and_forgotten_when_it_goes(void **state)
{
	static const char *const uids[] = {UID};

	(void)state;
	sink->ops->exclude_pods(sink, uids, 1);
	make_cgroup("kubepods.slice");
	make_cgroup("kubepods.slice/" POD);
	assert_false(await_check());
	assert_int_equal(connect_in("kubepods.slice/" POD), ENETUNREACH);
	assert_int_equal(count_pins("skip_"), 4);
	remove_cgroup("kubepods.slice/" POD);
	assert_false(await_check());
	assert_int_equal(count_pins("skip_"), 0);
	remove_cgroup("kubepods.slice");
}

static char *pin(const char *name)
{
	return xasprintf("%s/sluice/%s", stage->bpffs, name);
}

/* Also when the next daemon has maps of another layout: these have no version. */
static void a_pod_stays_opted_out_while_no_daemon_runs(void **state)
{
	static const char *const uids[] = {UID};
	_cleanup_(freep) char *version = pin("meta");

	make_cgroup("kubepods.slice");
	make_cgroup("kubepods.slice/" POD);
	sink->ops->exclude_pods(sink, uids, 1);
	for (int is_upgrade = 0; is_upgrade < 2; is_upgrade++) {
		sink_close(sink);
		service_unref(service);
		assert_int_equal(connect_in("kubepods.slice/" POD), ENETUNREACH);
		if (is_upgrade)
			assert_int_equal(unlink(version), 0);
		/* the next one does not know the Pods yet */
		assert_int_equal(set_up(state), 0);
		assert_int_equal(connect_in("kubepods.slice/" POD), ENETUNREACH);
	}
	sink->ops->exclude_pods(sink, NULL, 0);
	await_connect_in("kubepods.slice/" POD);
	remove_cgroup("kubepods.slice/" POD);
	remove_cgroup("kubepods.slice");
}

static void a_detached_opt_out_is_attached_again_by_a_full_sync(void **state)
{
	static const char *const uids[] = {UID};
	_cleanup_(freep) char *command = xasprintf(
		"for pin in %s/sluice/skip_*; do bpftool link detach pinned $pin || "
		"exit; done",
		stage->bpffs);

	(void)state;
	make_cgroup("kubepods.slice");
	make_cgroup("kubepods.slice/" POD);
	sink->ops->exclude_pods(sink, uids, 1);
	assert_int_equal(system(command), 0);
	await_connect_in("kubepods.slice/" POD);
	apply_all();
	assert_int_equal(connect_in("kubepods.slice/" POD), ENETUNREACH);
	sink->ops->exclude_pods(sink, NULL, 0);
	remove_cgroup("kubepods.slice/" POD);
	remove_cgroup("kubepods.slice");
}

/* As that of a service of systemd that is started after the daemon, and again. */
static void an_excluded_cgroup_may_come_and_go(void **state)
{
	_cleanup_(freep) char *mesh = xasprintf("%s/mesh", stage->cgroup);
	const char *const paths[] = {mesh};
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;

	(void)state;
	sink_close(sink);
	params.excluded = paths;
	params.n_excluded = 1;
	assert_int_equal(ebpf_sink_new(&params, &sink, &why), 0);
	apply_all();
	sink->ops->exclude_pods(sink, NULL, 0);
	for (int i = 0; i < 2; i++) {
		make_cgroup("mesh");
		assert_false(await_check());
		assert_int_equal(connect_in("mesh"), ENETUNREACH);
		assert_int_equal(count_pins("skip_"), 4); /* none of an earlier one */
		remove_cgroup("mesh");
	}
}

static void a_detached_program_is_noticed_within_seconds(void **state)
{
	_cleanup_(freep) char *path = pin("link_connect4");
	_cleanup_(closep) int link = bpf_obj_get(path);

	(void)state;
	assert_false(await_check());
	assert_true(link >= 0);
	assert_int_equal(bpf_link_detach(link), 0);
	assert_true(await_check());
	expect_differences("- ebpf programs: not all are attached\n");
	apply_all();
	expect_differences("");
	assert_false(await_check());
	assert_int_equal(ebpf_connect(SOCK_STREAM, VIP) < 0, 0);
}

static void a_probe_names_the_pins_of_a_running_daemon(void **state)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;
	_cleanup_(freep) char *wanted =
		xasprintf("another daemon uses %s/sluice", stage->bpffs);

	(void)state;
	assert_int_equal(ebpf_probe(&params, &why), -EBUSY);
	assert_string_equal(why, wanted);
}

/* A mount namespace of ours has the filesystem. */
static void remount(unsigned long flags)
{
	assert_int_equal(mount(NULL, stage->bpffs, NULL, MS_REMOUNT | MS_BIND | flags,
			       NULL),
			 0);
}

static void pins_that_another_process_removed_are_made_again(void **state)
{
	_cleanup_(freep) char *remove = xasprintf("rm -r %s/sluice/*", stage->bpffs);
	_cleanup_(freep) char *folder = pin("");
	size_t n = count_pins("");

	(void)state;
	for (int with_folder = 0; with_folder < 2; with_folder++) {
		assert_int_equal(system(remove), 0);
		assert_int_equal(with_folder ? rmdir(folder) : 0, 0);
		assert_true(with_folder || await_check());
		expect_differences("- ebpf pins: some were removed\n");
		apply_all();
		expect_differences("");
		assert_int_equal(count_pins(""), n);
	}
	a_probe_names_the_pins_of_a_running_daemon(state);
	assert_int_equal(system(remove), 0);
	remount(MS_RDONLY);
	apply_all(); /* sockets do not need them */
	assert_false(await_check());
	remount(0);
	apply_all();
	assert_int_equal(count_pins(""), n);
	sink_close(sink);
	service_unref(service);
	await_connect_in(".");
	assert_int_equal(set_up(state), 0);
}

static void a_cgroup_that_was_made_again_is_served(void **state)
{
	_cleanup_(freep) char *path = xasprintf("%s/slice", stage->cgroup);
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;
	struct change change = {NULL, service};
	struct changeset all = {.full = true, .env = &env, .changes = &change, .n = 1};

	(void)state;
	sink_close(sink);
	params.cgroup_root = path;
	make_cgroup("slice");
	assert_int_equal(ebpf_sink_new(&params, &sink, &why), 0);
	apply_all();
	assert_int_equal(connect_in("slice"), 0);
	remove_cgroup("slice");
	assert_true(await_check());
	assert_int_equal(sink_apply(sink, &all), -ENOENT);
	make_cgroup("slice");
	apply_all();
	assert_int_equal(connect_in("slice"), 0);
	remove_cgroup("slice");
}

static void a_probe_finds_that_nothing_can_be_pinned(void **state)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;
	_cleanup_(freep) char *wanted =
		xasprintf("%s: Read-only file system", stage->bpffs);

	(void)state;
	remount(MS_RDONLY);
	assert_int_equal(ebpf_probe(&params, &why), -EROFS);
	assert_string_equal(why, wanted);
	remount(0);
}

static void count_line(void *data, const char *line)
{
	*(size_t *)data +=
		strncmp(line, "nftables decides when endpoint " ENDPOINT " is",
			strlen("nftables decides when endpoint " ENDPOINT " is")) == 0;
}

/* As the programs decide: test_ebpf_clients.c. */
static void an_endpoint_that_is_a_node_port_is_noted(void **state)
{
	struct addr nodes[2];
	const struct environment at_nodes = {.node_addresses = {nodes},
					     .n_node_addresses = {2}};
	struct service *other = short_service("other", IPPROTO_TCP, "0.0.0.0:8080", "");
	struct change changes[] = {{NULL, service}, {NULL, other}};
	const struct sink_question q = {service, service_frontends(service), CLIENT_NODE,
					&at_nodes};
	size_t n = 0;

	(void)state;
	assert_int_equal(addr_parse("127.0.0.2", &nodes[0]), 0);
	assert_int_equal(addr_parse("127.0.0.3", &nodes[1]), 0);
	for (size_t n_services = 1; n_services <= 2; n_services++) {
		struct changeset cs = {.full = true,
				       .env = &at_nodes,
				       .changes = changes,
				       .n = n_services};

		assert_int_equal(sink_apply(sink, &cs), 0);
		sink->ops->view->notes(sink, &q, count_line, &n);
		assert_int_equal(n, n_services - 1);
	}
	service_unref(other);
}

static void pins_of_another_network_namespace_stay(void **state)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	int status;
	pid_t pid;

	sink_close(sink);
	service_unref(service);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		unsigned n;

		_exit(unshare(CLONE_NEWNET) == 0 ? -ebpf_cleanup(&params, &n) : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), EXDEV);
	assert_int_equal(count_pins("link_"), 9);
	assert_int_equal(set_up(state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_pod_opts_out_for_as_long_as_it_asks_for_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_cgroup_that_comes_later_is_found_and_forgotten_when_it_goes,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_pod_stays_opted_out_while_no_daemon_runs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_detached_opt_out_is_attached_again_by_a_full_sync, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(an_excluded_cgroup_may_come_and_go,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_detached_program_is_noticed_within_seconds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_probe_names_the_pins_of_a_running_daemon, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			pins_that_another_process_removed_are_made_again, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_cgroup_that_was_made_again_is_served,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_probe_finds_that_nothing_can_be_pinned,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_endpoint_that_is_a_node_port_is_noted,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(pins_of_another_network_namespace_stay,
						set_up, tear_down),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	ebpf_stage_serve(ENDPOINT);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
