/*
 * An answer of the control socket that is not ready when it is asked for: its client
 * waits, and the loop is free meanwhile.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/control/control.h"
#include "tests/unit/world.h"

#define N_WAITS 5

struct daemon {
	struct world world;
	char path[200];
	struct control *control;
	int client;
	unsigned n_waits, n_freed;
};

struct late_answer {
	struct control_answer answer;
	struct daemon *daemon;
};

static struct daemon *daemon_of(struct control_answer *base)
{
	return container_of(base, struct late_answer, answer)->daemon;
}

static bool late_is_waiting(struct control_answer *base)
{
	return daemon_of(base)->n_waits++ < N_WAITS;
}

static bool late_write(struct control_answer *base, struct buf *out)
{
	assert_true(daemon_of(base)->n_waits > N_WAITS);
	buf_add_string(out, "\"late\"");
	return false;
}

static void late_free(struct control_answer *base)
{
	daemon_of(base)->n_freed++;
	free(container_of(base, struct late_answer, answer));
}

static struct control_answer *answer(void *data, const struct control_request *request,
				     char **ret_error)
{
	static const struct control_answer_ops ops = {
		.write = late_write,
		.free = late_free,
		.is_waiting = late_is_waiting,
	};
	struct late_answer *a = xcalloc(1, sizeof(*a));

	(void)ret_error;
	assert_string_equal(request->current, "yes");
	a->answer.ops = &ops;
	a->daemon = data;
	return &a->answer;
}

static int set_up(void **state)
{
	static const char request[] =
		"{\"version\":1,\"request\":\"services\",\"current\":\"yes\"}\n";
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct daemon *d = xcalloc(1, sizeof(*d));

	world_open(&d->world);
	(void)snprintf(d->path, sizeof(d->path), "%s/s", d->world.folder);
	assert_int_equal(control_new(d->world.loop, d->path, answer, d, &d->control), 0);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%.100s", d->path);
	d->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(d->client, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_true(send(d->client, request, strlen(request), MSG_NOSIGNAL) > 0);
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	struct daemon *d = *state;

	control_free(d->control);
	assert_int_equal(d->n_freed, 1);
	(void)close(d->client);
	world_remove(&d->world, "s.lock");
	world_close(&d->world);
	free(d);
	return 0;
}

static void a_client_waits_for_an_answer_that_is_not_ready(void **state)
{
	static const char wanted[] = "{\"version\":1,\"result\":\"late\"}\n";
	struct daemon *d = *state;
	char text[100] = {0};
	size_t len = 0;

	for (int i = 0; i < 1000 && !strchr(text, '\n'); i++) {
		ssize_t n;

		ev_run(d->world.loop, EVRUN_ONCE); /* sleeps until something is due */
		n = recv(d->client, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
	}
	assert_string_equal(text, wanted);
}

static void an_answer_that_is_not_ready_ends_with_the_daemon(void **state)
{
	struct daemon *d = *state;

	while (d->n_waits < 2)
		ev_run(d->world.loop, EVRUN_ONCE);
	assert_int_equal(d->n_freed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_client_waits_for_an_answer_that_is_not_ready, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			an_answer_that_is_not_ready_ends_with_the_daemon, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
