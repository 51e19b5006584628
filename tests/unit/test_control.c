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

struct world {
	struct ev_loop *loop;
	char folder[64], path[96];
	struct control *control;
	struct control_request last; /* what was asked */
	size_t n_asked, n_pieces, n_freed;
};

/* A million numbers, some at a time. */
struct long_answer {
	struct control_answer answer;
	struct world *world;
	int next;
};

#define LONG_N 1000000

static bool long_write(struct control_answer *base, struct buf *out)
{
	struct long_answer *a = container_of(base, struct long_answer, answer);

	a->world->n_pieces++;
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

	a->world->n_freed++;
	free(a);
}

static struct control_answer *long_answer_new(struct world *w)
{
	static const struct control_answer_ops ops = {long_write, long_free};
	struct long_answer *a = xcalloc(1, sizeof(*a));

	a->answer.ops = &ops;
	a->world = w;
	return &a->answer;
}

static struct control_answer *answer(void *data, const struct control_request *request,
				     char **ret_error)
{
	struct world *w = data;

	w->last = *request;
	w->n_asked++;
	if (request->verb == CONTROL_DIFF) {
		*ret_error = xstrdup("no kernel here");
		return NULL;
	}
	if (request->verb == CONTROL_ENDPOINTS)
		return long_answer_new(w);
	return control_answer_json(json_pack("[s, s]", "one", "two"));
}

static void world_init(struct world *w)
{
	*w = (struct world){.loop = ev_loop_new(EVFLAG_AUTO)};
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/sluice-control-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	/* one folder more, which is made */
	(void)snprintf(w->path, sizeof(w->path), "%s/run/s.sock", w->folder);
	assert_int_equal(control_new(w->loop, w->path, answer, w, &w->control), 0);
}

static void world_fini(struct world *w)
{
	_cleanup_(freep) char *lock = xasprintf("%s.lock", w->path);
	_cleanup_(freep) char *run = xasprintf("%s/run", w->folder);

	control_free(w->control);
	assert_int_equal(access(w->path, F_OK), -1);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(rmdir(run), 0);
	assert_int_equal(rmdir(w->folder), 0);
	ev_loop_destroy(w->loop);
}

static int client_open(const struct world *w)
{
	const struct timeval timeout = {.tv_sec = 5};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, w->path, strlen(w->path));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
				    sizeof(timeout)),
			 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void turn(struct world *w)
{
	for (int i = 0; i < 20; i++)
		ev_run(w->loop, EVRUN_NOWAIT);
}

/* Sends, lets the daemon work, and reads to the end. */
static char *talk(struct world *w, const char *text, size_t len)
{
	_cleanup_(closep) int fd = client_open(w);
	struct buf answer_text = BUF_INIT;
	char bytes[4096];
	ssize_t n;

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
	turn(w);
	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		buf_add(&answer_text, bytes, (size_t)n);
	return answer_text.data ? buf_take(&answer_text) : xstrdup("");
}

static const struct {
	const char *request, *answer; /* a part of it */
} talk_cases[] = {
	{"{\"version\":1,\"request\":\"services\"}\n",
	 "{\"version\":1,\"result\":[\"one\",\"two\"]}\n"},
	{"{\"version\":1,\"request\":\"services\",\"namespace\":\"x\"}\n", "\"result\""},
	{"{\"version\":1,\"request\":\"services\",\"namespace\":null}\n", "\"result\""},
	{"{\"version\":1,\"request\":\"services\",\"more\":[1]}\n", "\"result\""},
	{"{\"version\":1,\"request\":\"diff\"}\n", "\"error\":\"no kernel here\""},
	{"{\"version\":2,\"request\":\"services\"}\n", "another version"},
	{"{\"request\":\"services\"}\n", "another version"},
	{"{\"version\":\"1\",\"request\":\"services\"}\n", "another version"},
	{"{\"version\":1,\"request\":\"reboot\"}\n", "request is not"},
	{"{\"version\":1,\"request\":7}\n", "request is not"},
	{"{\"version\":1,\"request\":\"services\",\"namespace\":7}\n", "a field"},
	{"{\"version\":1,\"version\":1,\"request\":\"services\"}\n", "not a JSON object"},
	{"[]\n", "not a JSON object"},
	{"\n", "not a JSON object"},
	{"GET / HTTP/1.1\r\n", "not a JSON object"},
	{"\xff\xfe\n", "not a JSON object"},
};

static void each_request_is_answered_with_one_line(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < N_ELEMENTS(talk_cases); i++) {
		_cleanup_(freep) char *text =
			talk(&w, talk_cases[i].request, strlen(talk_cases[i].request));

		if (!strstr(text, talk_cases[i].answer))
			fail_msg("%s -> %s", talk_cases[i].request, text);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	}
	world_fini(&w);
}

static void fields_of_a_request_arrive_unchanged(void **state)
{
	static const char text[] =
		"{\"version\":1,\"request\":\"explain\",\"frontend\":\"10.0.0.1:80\","
		"\"from\":\"10.0.0.2\"}\n";
	struct world w;

	(void)state;
	world_init(&w);
	free(talk(&w, text, strlen(text)));
	assert_int_equal(w.last.verb, CONTROL_EXPLAIN);
	assert_string_equal(w.last.frontend, "10.0.0.1:80");
	assert_string_equal(w.last.from, "10.0.0.2");
	assert_string_equal(w.last.ns, "");
	world_fini(&w);
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
	struct world w;

	(void)state;
	world_init(&w);
	memset(text, 'x', CONTROL_REQUEST_MAX_LEN + 1024);
	answer_text = talk(&w, text, CONTROL_REQUEST_MAX_LEN + 1024);
	assert_non_null(strstr(answer_text, "not a JSON object"));
	assert_int_equal(w.n_asked, 0);
	world_fini(&w);
}

static void a_field_that_is_too_long_is_refused(void **state)
{
	char text[1024], name[CONTROL_FIELD_LEN + 1];
	_cleanup_(freep) char *answer_text = NULL;
	struct world w;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, sizeof(text),
		       "{\"version\":1,\"request\":\"services\",\"namespace\":\"%s\"}\n",
		       name);
	world_init(&w);
	answer_text = talk(&w, text, strlen(text));
	assert_non_null(strstr(answer_text, "too long"));
	world_fini(&w);
}

static void clients_that_disconnect_early_do_no_harm(void **state)
{
	static const char request[] = "{\"version\":1,\"request\":\"services\"}\n";
	_cleanup_(freep) char *text = NULL;
	struct world w;

	(void)state;
	world_init(&w);
	(void)close(client_open(&w)); /* said nothing */
	for (size_t len = 1; len < sizeof(request); len++) {
		int fd = client_open(&w);

		assert_int_equal(send(fd, request, len, MSG_NOSIGNAL), len);
		(void)close(fd);
		turn(&w);
	}
	text = talk(&w, request, strlen(request));
	assert_non_null(strstr(text, "result"));
	world_fini(&w);
}

static void too_many_clients_wait_for_their_turn(void **state)
{
	static const char request[] = "{\"version\":1,\"request\":\"services\"}\n";
	char bytes[256];
	struct world w;
	int fds[24];

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < N_ELEMENTS(fds); i++) {
		fds[i] = client_open(&w);
		turn(&w);
	}
	for (size_t i = 0; i < N_ELEMENTS(fds); i++) {
		assert_true(send(fds[i], request, strlen(request), MSG_NOSIGNAL) > 0);
		turn(&w);
		assert_true(recv(fds[i], bytes, sizeof(bytes), 0) > 0);
		(void)close(fds[i]);
	}
	assert_int_equal(w.n_asked, N_ELEMENTS(fds));
	world_fini(&w);
}

static void only_the_owner_may_send_requests(void **state)
{
	struct stat st;
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(stat(w.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	world_fini(&w);
}

static void a_second_daemon_cannot_open_the_control_socket(void **state)
{
	struct control *second = NULL;
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(control_new(w.loop, w.path, answer, &w, &second), -EADDRINUSE);
	assert_null(second);
	assert_int_equal(access(w.path, F_OK), 0); /* the first one's is still there */
	world_fini(&w);
}

/* What a killed daemon leaves. */
static void a_stale_socket_is_replaced(void **state)
{
	static const char request[] = "{\"version\":1,\"request\":\"services\"}\n";
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_(freep) char *text = NULL;
	_cleanup_(closep) int fd = -1;
	struct world w;

	(void)state;
	world_init(&w);
	control_free(w.control);
	memcpy(sa.sun_path, w.path, strlen(w.path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(control_new(w.loop, w.path, answer, &w, &w.control), 0);
	text = talk(&w, request, strlen(request));
	assert_non_null(strstr(text, "result"));
	world_fini(&w);
}

static void a_file_that_is_not_a_socket_is_kept(void **state)
{
	struct control *control = NULL;
	struct world w;
	int fd;

	(void)state;
	world_init(&w);
	control_free(w.control);
	fd = open(w.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(control_new(w.loop, w.path, answer, &w, &control), -EEXIST);
	assert_int_equal(unlink(w.path), 0);
	w.control = NULL;
	world_fini(&w);
}

static void on_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* Its clients wait in the backlog meanwhile, and the loop does not go round and round. */
static void a_lack_of_descriptors_only_delays_answers(void **state)
{
	static const char request[] = "{\"version\":1,\"request\":\"services\"}\n";
	struct rlimit before, none;
	unsigned n_turns;
	char bytes[256];
	ev_timer over;
	struct world w;
	int fd;

	(void)state;
	world_init(&w);
	turn(&w); /* what the loop needs is open */
	fd = client_open(&w);
	assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	n_turns = ev_iteration(w.loop);
	ev_timer_init(&over, on_over, 0.3, 0.);
	ev_timer_start(w.loop, &over);
	ev_run(w.loop, 0);
	n_turns = ev_iteration(w.loop) - n_turns;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(n_turns < 10);
	assert_int_equal(w.n_asked, 0);
	ev_timer_init(&over, on_over, 1.2, 0.);
	ev_timer_start(w.loop, &over);
	ev_run(w.loop, 0);
	assert_int_equal(w.n_asked, 1);
	assert_true(recv(fd, bytes, sizeof(bytes), 0) > 0);
	(void)close(fd);
	world_fini(&w);
}

struct asking {
	const struct world *world;
	struct control_request request;
};

static void *ask(void *data)
{
	const struct asking *asking = data;
	json_t *result = NULL;

	return control_ask(asking->world->path, &asking->request, &result) == 0 ? result
										: NULL;
}

/* Turns the loop until the client has its result. */
static json_t *ask_and_serve(struct world *w, enum control_verb verb)
{
	struct asking asking = {.world = w, .request = {.verb = verb}};
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
	while (pthread_tryjoin_np(thread, &result) == EBUSY)
		ev_run(w->loop, EVRUN_NOWAIT);
	return result;
}

static void the_control_client_returns_the_result(void **state)
{
	struct world w;
	json_t *result;

	(void)state;
	world_init(&w);
	result = ask_and_serve(&w, CONTROL_SERVICES);
	assert_int_equal(json_array_size(result), 2);
	json_decref(result);
	world_fini(&w);
}

static void a_long_answer_is_sent_in_pieces(void **state)
{
	struct world w;
	json_t *result;

	(void)state;
	world_init(&w);
	result = ask_and_serve(&w, CONTROL_ENDPOINTS);
	assert_int_equal(json_array_size(result), LONG_N);
	assert_int_equal(json_integer_value(json_array_get(result, LONG_N - 1)),
			 LONG_N - 1);
	assert_int_equal(w.n_pieces, LONG_N / 1000);
	assert_int_equal(w.n_freed, 1);
	json_decref(result);
	world_fini(&w);
}

static void a_client_that_disconnects_stops_a_long_answer(void **state)
{
	static const char request[] = "{\"version\":1,\"request\":\"endpoints\"}\n";
	struct world w;
	int fd;

	(void)state;
	world_init(&w);
	fd = client_open(&w);
	assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
	turn(&w);
	(void)close(fd);
	turn(&w);
	assert_true(w.n_pieces < LONG_N / 1000);
	assert_int_equal(w.n_freed, 1);
	world_fini(&w);
}

/* A daemon that is stopped, or busy. */
static void a_daemon_that_does_not_answer_is_reported(void **state)
{
	const struct control_request request = {.verb = CONTROL_SERVICES};
	json_t *result = NULL;
	const char *printed;
	struct world w;

	(void)state;
	world_init(&w);
	control_client_set_timeout(1);
	capture_start();
	assert_int_equal(control_ask(w.path, &request, &result), -ETIMEDOUT);
	printed = capture_end();
	assert_non_null(strstr(printed, ": the daemon has not answered for 1 s\n"));
	control_client_set_timeout(30);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_answered_with_one_line),
		cmocka_unit_test(fields_of_a_request_arrive_unchanged),
		cmocka_unit_test(an_encoded_request_decodes_unchanged),
		cmocka_unit_test(a_request_without_end_is_refused),
		cmocka_unit_test(a_field_that_is_too_long_is_refused),
		cmocka_unit_test(clients_that_disconnect_early_do_no_harm),
		cmocka_unit_test(too_many_clients_wait_for_their_turn),
		cmocka_unit_test(a_lack_of_descriptors_only_delays_answers),
		cmocka_unit_test(only_the_owner_may_send_requests),
		cmocka_unit_test(a_second_daemon_cannot_open_the_control_socket),
		cmocka_unit_test(a_stale_socket_is_replaced),
		cmocka_unit_test(a_file_that_is_not_a_socket_is_kept),
		cmocka_unit_test(the_control_client_returns_the_result),
		cmocka_unit_test(a_daemon_that_does_not_answer_is_reported),
		cmocka_unit_test(a_long_answer_is_sent_in_pieces),
		cmocka_unit_test(a_client_that_disconnects_stops_a_long_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
