/*
 * The service manager: readiness, the status line, the watchdog.
 */
#include "tests/test.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/run/manager.h"
#include "tests/unit/capture.h"
#include "tests/unit/world.h"

static const char *present;

static char *line(void *data)
{
	return xstrdup(present);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(strlen(path) < sizeof(sa.sun_path));
	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Everything that has arrived, a line each. */
static char *received(int fd)
{
	struct buf all = BUF_INIT;
	char bytes[256];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		buf_add(&all, bytes, (size_t)n);
		buf_add_char(&all, '\n');
	}
	return all.data ? buf_take(&all) : xstrdup("");
}

static void the_status_line_follows_and_the_watchdog_is_fed(void **state)
{
	struct world w;
	struct manager m = {.line = line};
	_cleanup_(freep) char *path = NULL, *first = NULL, *second = NULL, *third = NULL;
	_cleanup_(closep) int fd = -1;

	(void)state;
	world_open(&w);
	path = world_path(&w, "notify");
	fd = listen_at(path);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "1200000", 1), 0);
	(void)unsetenv("WATCHDOG_PID");
	m.loop = w.loop;
	present = "in sync";
	manager_start(&m);
	manager_ready(&m);
	world_run(&w, 1.3);
	first = received(fd);
	assert_memory_equal(first, "READY=1\nSTATUS=in sync\n", 23);
	assert_int_equal(capture_count(first, "STATUS="), 1);
	assert_true(capture_count(first, "WATCHDOG=1\n") >= 2);
	world_run(&w, 1.2);
	second = received(fd);
	assert_int_equal(capture_count(second, "STATUS="), 0);
	present = "not in sync: why";
	manager_update(&m);
	world_run(&w, 1.2);
	third = received(fd);
	assert_int_equal(capture_count(third, "STATUS=not in sync: why\n"), 1);
	/* without another run, it is looked at seldom */
	assert_true(ev_timer_remaining(w.loop, &m.status) > 5.);
	manager_stop(&m);
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	world_close(&w);
}

static void without_a_service_manager_nothing_runs(void **state)
{
	struct world w;
	struct manager m = {.line = line};

	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	world_open(&w);
	m.loop = w.loop;
	manager_start(&m);
	assert_false(ev_is_active(&m.status) || ev_is_active(&m.watchdog));
	manager_stop(&m);
	world_close(&w);
}

/* It is that of a parent, for example of a shell. */
static void the_watchdog_of_another_process_is_not_fed(void **state)
{
	struct world w;
	struct manager m = {.line = line};

	(void)state;
	world_open(&w);
	assert_int_equal(setenv("NOTIFY_SOCKET", "/nonexistent", 1), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "300000", 1), 0);
	assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
	m.loop = w.loop;
	manager_start(&m);
	assert_true(ev_is_active(&m.status));
	assert_false(ev_is_active(&m.watchdog));
	manager_stop(&m);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_line_follows_and_the_watchdog_is_fed),
		cmocka_unit_test(the_watchdog_of_another_process_is_not_fed),
		cmocka_unit_test(without_a_service_manager_nothing_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
