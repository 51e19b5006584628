/*
 * The wall clock is set while the daemon runs, as NTP does after a boot: changes
 * are programmed as before, and nothing counts as late.
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/http_get.h"
#include "tests/kernel/instance.h"

#define DAY	     86400
#define HEALTH_PORT  10256
#define METRICS_PORT 10249
#define MOMENT_US    450000 /* a file may be missing for half a second */
#define MAX_TRIES    20

static volatile int64_t *ahead_sec; /* of the daemon's wall clock */

/* Restarts the daemon with a wall clock of its own. */
static int set_up(void **state)
{
	struct instance *in;
	_cleanup_(freep) char *path = NULL;
	int fd, rc = instance_setup(state);

	in = *state;
	path = xasprintf("%s/skew", in->world->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(ftruncate(fd, sizeof(*ahead_sec)), 0);
	ahead_sec =
		mmap(NULL, sizeof(*ahead_sec), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(ahead_sec, MAP_FAILED);
	(void)close(fd);
	(void)instance_end(in, SIGTERM);
	(void)setenv("SKEW_FILE", path, 1);
	(void)setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	(void)setenv("LD_PRELOAD", SKEW_LIBRARY, 1);
	instance_start(in, NULL);
	(void)unsetenv("LD_PRELOAD");
	return rc;
}

static void assert_it_works(struct instance *in)
{
	int status;

	instance_put_yaml(in, ""); /* waits until it is in the kernel */
	status = http_get(in->world, HEALTH_PORT, "/livez", NULL);
	if (status != 200)
		instance_fail(in, "/livez: %d", status);
}

/* The seconds of the day are the machine's, the date is the daemon's. */
static void the_wall_clock_of_the_daemon_can_be_set(void **state)
{
	struct instance *in = *state;
	_cleanup_(buf_fini) struct buf before = BUF_INIT, after = BUF_INIT;
	size_t date = sizeof("{\"lastUpdated\":\"2026-01-01") - 1;

	(void)http_get(in->world, HEALTH_PORT, "/livez", &before);
	*ahead_sec = DAY;
	(void)http_get(in->world, HEALTH_PORT, "/livez", &after);
	*ahead_sec = 0;
	assert_true(before.len > date && after.len > date);
	assert_memory_not_equal(before.data, after.data, date);
}

static void changes_are_programmed_when_the_wall_clock_was_set(void **state)
{
	static const int64_t skews[] = {DAY, -DAY, -20 * 365 * DAY, 0};
	struct instance *in = *state;

	for (size_t i = 0; i < N_ELEMENTS(skews); i++) {
		*ahead_sec = skews[i];
		assert_it_works(in);
	}
}

/* Changes of Services that it has applied since its start. */
static unsigned long long n_changes(struct instance *in)
{
	static const char name[] = "\nkubeproxy_sync_proxy_rules_service_changes_total ";
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	const char *line;

	assert_int_equal(http_get(in->world, METRICS_PORT, "/metrics", &body), 200);
	line = strstr(buf_string(&body), name);
	assert_non_null(line);
	return strtoull(line + strlen(name), NULL, 10);
}

static void move(const char *from, const char *to)
{
	if (rename(from, to) == -1)
		fail_msg("%s: %s", from, strerror(errno));
}

/* The clock is set meanwhile. False: on a busy machine it was away for longer than a moment. */
static bool miss_for_a_moment(struct instance *in)
{
	_cleanup_(freep) char *file = xasprintf("%s/objects.yaml", in->manifests);
	_cleanup_(freep) char *kept = xasprintf("%s/kept", in->world->dir);
	uint64_t start_us = world_now_us();

	move(file, kept);
	world_sleep_ms(100); /* it has seen that */
	*ahead_sec += DAY;
	world_sleep_ms(200);
	move(kept, file);
	return world_now_us() - start_us < MOMENT_US;
}

/* A program replaces the file in two steps, and the clock is set in between. */
static void a_file_that_is_missing_for_a_moment_keeps_its_objects(void **state)
{
	struct instance *in = *state;
	unsigned long long n;
	unsigned n_tries = 0;

	do {
		if (n_tries++ == MAX_TRIES)
			fail_msg("the machine pauses too often");
		assert_it_works(in);
		n = n_changes(in);
	} while (!miss_for_a_moment(in));
	world_sleep_ms(300);
	assert_int_equal(n_changes(in), n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_wall_clock_of_the_daemon_can_be_set),
		cmocka_unit_test(changes_are_programmed_when_the_wall_clock_was_set),
		cmocka_unit_test(a_file_that_is_missing_for_a_moment_keeps_its_objects),
	};

	return cmocka_run_group_tests(tests, set_up, instance_teardown);
}
