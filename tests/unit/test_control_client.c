/*
 * The client's side of the control socket, with the answers of a daemon of any version.
 */
#include "tests/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/commands/control_client.h"
#include "proxy/control/control.h"
#include "tests/unit/cli_run.h"
#include "tests/unit/world.h"

struct daemon {
	struct world world;
	char *path;
	int fd;
	const char *answer;
};

static int set_up(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	world_open(&d->world);
	d->path = world_path(&d->world, "s.sock");
	memcpy(sa.sun_path, d->path, strlen(d->path));
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(d->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(d->fd, 1), 0);
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	struct daemon *d = *state;

	(void)close(d->fd);
	world_remove(&d->world, "s.sock");
	world_close(&d->world);
	free(d->path);
	free(d);
	return 0;
}

/* Answers one request. */
static void *serve(void *data)
{
	const struct daemon *d = data;
	_cleanup_(closep) int fd = accept(d->fd, NULL, NULL);
	char request[4096];

	if (read(fd, request, sizeof(request)) > 0)
		(void)!write(fd, d->answer, strlen(d->answer));
	return NULL;
}

/* Serves one request while the program runs. */
static struct cli_outcome run(struct daemon *d, const char *command, const char *answer)
{
	const char *args[CLI_MAX_ARGS] = {command, "--control-socket", d->path};
	struct cli_outcome outcome;
	pthread_t thread;

	d->answer = answer;
	assert_int_equal(pthread_create(&thread, NULL, serve, d), 0);
	outcome = cli_run("sluice", args, "");
	assert_int_equal(pthread_join(thread, NULL), 0);
	return outcome;
}

#define BAD   "\xef\xbf\xbd"
#define ENTRY "{\"time\":\"2026-11-28T21:00:01.000Z\",\"namespace\":\"demo\\u001b[2J\","

static const struct {
	const char *command, *answer, *out, *err;
} cases[] = {
	{"events",
	 "{\"result\":{\"entries\":[" ENTRY "\"name\":\"web\",\"protocol\":\"TCP\","
	 "\"family\":\"IPv4\",\"what\":\"a\\nb\",\"detail\":\"\\u202eöl\\u0085\"}]}}",
	 "2026-11-28 21:00:01.000  demo" BAD "[2J/web TCP IPv4  a" BAD "b: " BAD "öl" BAD
	 "\n",
	 ""},
	{"diff", "{\"result\":{\"differences\":2,\"lines\":\"+ a\\u0007\\n- b\\n\"}}",
	 "+ a" BAD "\n- b\n", ""},
	{"events", "{\"result\":{\"entries\":[]}}", "", "No changes are kept.\n"},
	{"diff", "{\"error\":\"no\\u001b[1mkernel\"}", "",
	 "sluice: no" BAD "[1mkernel\n"},
	{"diff", "{", "", "sluice: the daemon's answer is incomplete\n"},
};

static void answers_are_printed_without_control_characters(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct cli_outcome o = run(*state, cases[i].command, cases[i].answer);

		assert_string_equal(buf_string(&o.out), cases[i].out);
		assert_string_equal(buf_string(&o.err), cases[i].err);
		cli_outcome_fini(&o);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			answers_are_printed_without_control_characters, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
