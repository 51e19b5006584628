/*
 * The control socket, with real clients on a real loop.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/commands/control_client.h"
#include "proxy/control/control.h"
#include "tests/unit/capture.h"
#include "tests/unit/world.h"

struct daemon {
	struct world world;
	char path[96]; /* of the socket */
	struct control *control;
	struct control_request last;
	size_t n_asked, n_pieces, n_freed;
};

/* A million numbers, some at a time. */
struct long_answer {
	struct control_answer answer;
	struct daemon *daemon;
	int next;
};

#define LONG_N 1000000

static bool long_write(struct control_answer *base, struct buf *out)
{
	struct long_answer *a = container_of(base, struct long_answer, answer);

	a->daemon->n_pieces++;
	for (int i = 0; i < 1000; i++, a->next++)
		buf_printf(out, "%c%d", a->next ? ',' : '[', a->next);
	if (a->next < LONG_N)
		return true;
	buf_add_char(out, ']');
	return false;
}

static void long_free(struct control_answer *base)
{
	struct long_answer *a = container_of(base, struct long_answer, answer);

	a->daemon->n_freed++;
	free(a);
}

static struct control_answer *long_answer_new(struct daemon *d)
{
	static const struct control_answer_ops ops = {.write = long_write,
						      .free = long_free};
	struct long_answer *a = xcalloc(1, sizeof(*a));

	a->answer.ops = &ops;
	a->daemon = d;
	return &a->answer;
}

static struct control_answer *answer(void *data, const struct control_request *request,
				     char **ret_error)
{
	struct daemon *d = data;

	d->last = *request;
	d->n_asked++;
	if (request->verb == CONTROL_DIFF) {
		*ret_error = xstrdup("no kernel here");
		return NULL;
	}
	if (request->verb == CONTROL_ENDPOINTS)
		return long_answer_new(d);
	return control_answer_json(json_pack("[s, s]", "one", "two"));
}

static void daemon_open(struct daemon *d)
{
	*d = (struct daemon){0};
	world_open(&d->world);
	/* the folder "run" does not exist yet */
	(void)snprintf(d->path, sizeof(d->path), "%s/run/s.sock", d->world.folder);
	assert_int_equal(control_new(d->world.loop, d->path, answer, d, &d->control), 0);
}

static void daemon_close(struct daemon *d)
{
	_cleanup_(freep) char *run = world_path(&d->world, "run");

	control_free(d->control);
	assert_int_equal(access(d->path, F_OK), -1);
	world_remove(&d->world, "run/s.sock.lock");
	assert_int_equal(rmdir(run), 0); /* no other file is left in it */
	world_close(&d->world);
}

static int set_up(void **state)
{
	*state = xcalloc(1, sizeof(struct daemon));
	daemon_open(*state);
	return 0;
}

static int tear_down(void **state)
{
	daemon_close(*state);
	free(*state);
	return 0;
}

static int client_open(const struct daemon *d)
{
	const struct timeval timeout = {.tv_sec = 5};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, d->path, strlen(d->path));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
				    sizeof(timeout)),
			 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void turn(struct daemon *d)
{
	for (int i = 0; i < 20; i++)
		ev_run(d->world.loop, EVRUN_NOWAIT);
}

/* Sends, lets the daemon work, and reads to the end. */
static char *talk(struct daemon *d, const char *text, size_t len)
{
	_cleanup_(closep) int fd = client_open(d);
	struct buf answer_text = BUF_INIT;
	char bytes[4096];
	ssize_t n;

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
	turn(d);
	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		buf_add(&answer_text, bytes, (size_t)n);
	return answer_text.data ? buf_take(&answer_text) : xstrdup("");
}

#define LINE(text)  "{\"version\":1," text "}\n"
#define RESULT	    LINE("\"result\":[\"one\",\"two\"]")
#define ERROR(text) LINE("\"error\":\"" text "\"")

static const struct {
	const char *request, *answer;
} talk_cases[] = {
	{LINE("\"request\":\"services\""), RESULT},
	{LINE("\"request\":\"services\",\"namespace\":\"x\""), RESULT},
	{LINE("\"request\":\"services\",\"namespace\":null"), RESULT},
	{LINE("\"request\":\"services\",\"more\":[1]"), RESULT},
	{LINE("\"request\":\"diff\""), ERROR("no kernel here")},
	{"{\"version\":2,\"request\":\"services\"}\n",
	 ERROR("another version of the protocol is needed: 1")},
	{"{\"request\":\"services\"}\n",
	 ERROR("another version of the protocol is needed: 1")},
	{"{\"version\":\"1\",\"request\":\"services\"}\n",
	 ERROR("another version of the protocol is needed: 1")},
	{LINE("\"request\":\"reboot\""), ERROR("request is not services, endpoints, "
					       "explain, diff, status, events, plan, "
					       "config or top")},
	{LINE("\"request\":7"), ERROR("request is not services, endpoints, explain, "
				      "diff, status, events, plan, "
				      "config or top")},
	{LINE("\"request\":\"services\",\"namespace\":7"),
	 ERROR("a field is not a string or is too long")},
	{LINE("\"version\":1,\"request\":\"services\""), ERROR("not a JSON object")},
	{"[]\n", ERROR("not a JSON object")},
	{"\n", ERROR("not a JSON object")},
	{"GET / HTTP/1.1\r\n", ERROR("not a JSON object")},
	{"\xff\xfe\n", ERROR("not a JSON object")},
};

static void each_request_is_answered_with_one_line(void **state)
{
	struct daemon *d = *state;

	for (size_t i = 0; i < N_ELEMENTS(talk_cases); i++) {
		_cleanup_(freep) char *text =
			talk(d, talk_cases[i].request, strlen(talk_cases[i].request));

		if (strcmp(text, talk_cases[i].answer) != 0)
			fail_msg("%s -> %s", talk_cases[i].request, text);
	}
}

static void fields_of_a_request_arrive_unchanged(void **state)
{
	static const char text[] =
		"{\"version\":1,\"request\":\"explain\",\"frontend\":\"10.0.0.1:80\","
		"\"from\":\"10.0.0.2\"}\n";
	struct daemon *d = *state;

	free(talk(d, text, strlen(text)));
	assert_int_equal(d->last.verb, CONTROL_EXPLAIN);
	assert_string_equal(d->last.frontend, "10.0.0.1:80");
	assert_string_equal(d->last.from, "10.0.0.2");
	assert_string_equal(d->last.ns, "");
}

static void an_encoded_request_decodes_unchanged(void **state)
{
	const struct control_request request = {
		.verb = CONTROL_EXPLAIN,
		.frontend = "[fd00::1]:53/UDP",
		.from = "a \"quoted\" \n text",
	};
	_cleanup_(freep) char *line = control_request_encode(&request);
	struct control_request again;
	const char *error;

	(void)state;
	assert_int_equal(control_request_decode(line, strlen(line) - 1, &again, &error),
			 0);
	assert_memory_equal(&again, &request, sizeof(request));
}

static void a_request_without_end_is_refused(void **state)
{
	_cleanup_(freep) char *text = xmalloc(CONTROL_REQUEST_MAX_LEN + 1024);
	_cleanup_(freep) char *answer_text = NULL;
	struct daemon *d = *state;

	memset(text, 'x', CONTROL_REQUEST_MAX_LEN + 1024);
	answer_text = talk(d, text, CONTROL_REQUEST_MAX_LEN + 1024);
	assert_string_equal(answer_text, ERROR("not a JSON object"));
	assert_int_equal(d->n_asked, 0);
}

static void a_field_that_is_too_long_is_refused(void **state)
{
	char text[1024], name[CONTROL_FIELD_LEN + 1];
	_cleanup_(freep) char *answer_text = NULL;
	struct daemon *d = *state;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, sizeof(text),
		       "{\"version\":1,\"request\":\"services\",\"namespace\":\"%s\"}\n",
		       name);
	answer_text = talk(d, text, strlen(text));
	assert_string_equal(answer_text, ERROR("a field is not a string or is too long"));
}

static void clients_that_disconnect_early_do_no_harm(void **state)
{
	static const char request[] = LINE("\"request\":\"services\"");
	_cleanup_(freep) char *text = NULL;
	struct daemon *d = *state;

	(void)close(client_open(d)); /* sent nothing */
	for (size_t len = 1; len < sizeof(request); len++) {
		int fd = client_open(d);

		assert_int_equal(send(fd, request, len, MSG_NOSIGNAL), len);
		(void)close(fd);
		turn(d);
	}
	text = talk(d, request, strlen(request));
	assert_string_equal(text, RESULT);
}

static void too_many_clients_wait_for_their_turn(void **state)
{
	static const char request[] = LINE("\"request\":\"services\"");
	char bytes[256];
	struct daemon *d = *state;
	int fds[24];

	for (size_t i = 0; i < N_ELEMENTS(fds); i++) {
		fds[i] = client_open(d);
		turn(d);
	}
	for (size_t i = 0; i < N_ELEMENTS(fds); i++) {
		assert_true(send(fds[i], request, strlen(request), MSG_NOSIGNAL) > 0);
		turn(d);
		assert_true(recv(fds[i], bytes, sizeof(bytes), 0) > 0);
		(void)close(fds[i]);
	}
	assert_int_equal(d->n_asked, N_ELEMENTS(fds));
}

static void only_the_owner_may_send_requests(void **state)
{
	struct stat st;
	struct daemon *d = *state;

	assert_int_equal(stat(d->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_second_daemon_cannot_open_the_control_socket(void **state)
{
	struct control *second = NULL;
	struct daemon *d = *state;

	assert_int_equal(control_new(d->world.loop, d->path, answer, d, &second),
			 -EADDRINUSE);
	assert_null(second);
	assert_int_equal(access(d->path, F_OK), 0); /* the first one still has it */
}

/* A killed daemon leaves its socket. */
static void a_stale_socket_is_replaced(void **state)
{
	static const char request[] = LINE("\"request\":\"services\"");
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_(freep) char *text = NULL;
	_cleanup_(closep) int fd = -1;
	struct daemon *d = *state;

	control_free(d->control);
	memcpy(sa.sun_path, d->path, strlen(d->path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(control_new(d->world.loop, d->path, answer, d, &d->control), 0);
	text = talk(d, request, strlen(request));
	assert_string_equal(text, RESULT);
}

static void a_file_that_is_not_a_socket_is_kept(void **state)
{
	struct control *control = NULL;
	struct daemon *d = *state;
	int fd;

	control_free(d->control);
	fd = open(d->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(control_new(d->world.loop, d->path, answer, d, &control),
			 -EEXIST);
	assert_int_equal(unlink(d->path), 0);
	d->control = NULL;
}

static bool is_answered(void *data)
{
	const int *fd = data;
	char byte;

	return recv(*fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* Clients wait in the backlog, and the loop does not spin. */
static void a_lack_of_descriptors_only_delays_answers(void **state)
{
	static const char request[] = LINE("\"request\":\"services\"");
	struct rlimit before, none;
	unsigned n_turns;
	char bytes[256];
	struct daemon *d = *state;
	int fd;

	turn(d); /* the loop has opened its own descriptors */
	fd = client_open(d);
	assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	n_turns = ev_iteration(d->world.loop);
	world_run(&d->world, 0.3);
	n_turns = ev_iteration(d->world.loop) - n_turns;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(n_turns < 10);
	assert_int_equal(d->n_asked, 0);
	world_run_until(&d->world, is_answered, &fd);
	assert_int_equal(d->n_asked, 1);
	assert_true(recv(fd, bytes, sizeof(bytes), 0) > 0);
	(void)close(fd);
}

struct asking {
	const struct daemon *daemon;
	struct control_request request;
};

static void *ask(void *data)
{
	const struct asking *asking = data;
	json_t *result = NULL;

	return control_ask(asking->daemon->path, &asking->request, &result) == 0 ? result
										 : NULL;
}

/* Turns the loop until the client has its result. */
static json_t *ask_and_serve(struct daemon *d, enum control_verb verb)
{
	struct asking asking = {.daemon = d, .request = {.verb = verb}};
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
	while (pthread_tryjoin_np(thread, &result) == EBUSY)
		ev_run(d->world.loop, EVRUN_NOWAIT);
	return result;
}

static void the_control_client_returns_the_result(void **state)
{
	struct daemon *d = *state;
	json_t *result;

	result = ask_and_serve(d, CONTROL_SERVICES);
	assert_int_equal(json_array_size(result), 2);
	json_decref(result);
}

static void a_long_answer_is_sent_in_pieces(void **state)
{
	struct daemon *d = *state;
	json_t *result;

	result = ask_and_serve(d, CONTROL_ENDPOINTS);
	assert_int_equal(json_array_size(result), LONG_N);
	assert_int_equal(json_integer_value(json_array_get(result, LONG_N - 1)),
			 LONG_N - 1);
	assert_int_equal(d->n_pieces, LONG_N / 1000);
	assert_int_equal(d->n_freed, 1);
	json_decref(result);
}

static void a_client_that_disconnects_stops_a_long_answer(void **state)
{
	static const char request[] = "{\"version\":1,\"request\":\"endpoints\"}\n";
	struct daemon *d = *state;
	int fd;

	fd = client_open(d);
	assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
	turn(d);
	(void)close(fd);
	turn(d);
	assert_true(d->n_pieces < LONG_N / 1000);
	assert_int_equal(d->n_freed, 1);
}

/* A daemon that is stopped, or busy. */
static void a_daemon_that_does_not_answer_is_reported(void **state)
{
	const struct control_request request = {.verb = CONTROL_SERVICES};
	json_t *result = NULL;
	const char *printed;
	struct daemon *d = *state;

	control_client_set_timeout(1);
	capture_start();
	assert_int_equal(control_ask(d->path, &request, &result), -ETIMEDOUT);
	printed = capture_end();
	assert_non_null(strstr(printed, ": the daemon has not answered for 1 s\n"));
	control_client_set_timeout(30);
}

#define WITH_DAEMON(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(each_request_is_answered_with_one_line),
		WITH_DAEMON(fields_of_a_request_arrive_unchanged),
		cmocka_unit_test(an_encoded_request_decodes_unchanged),
		WITH_DAEMON(a_request_without_end_is_refused),
		WITH_DAEMON(a_field_that_is_too_long_is_refused),
		WITH_DAEMON(clients_that_disconnect_early_do_no_harm),
		WITH_DAEMON(too_many_clients_wait_for_their_turn),
		WITH_DAEMON(a_lack_of_descriptors_only_delays_answers),
		WITH_DAEMON(only_the_owner_may_send_requests),
		WITH_DAEMON(a_second_daemon_cannot_open_the_control_socket),
		WITH_DAEMON(a_stale_socket_is_replaced),
		WITH_DAEMON(a_file_that_is_not_a_socket_is_kept),
		WITH_DAEMON(the_control_client_returns_the_result),
		WITH_DAEMON(a_daemon_that_does_not_answer_is_reported),
		WITH_DAEMON(a_long_answer_is_sent_in_pieces),
		WITH_DAEMON(a_client_that_disconnects_stops_a_long_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
