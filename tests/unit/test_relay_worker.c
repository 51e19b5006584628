/*
 * A worker that ends by itself ends the process: its clients would wait for ever
 * otherwise.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/relay/relay_worker.h"
#include "tests/test.h"

static void send_stop(struct relay_worker *w)
{
	struct relay_messages messages = STAILQ_HEAD_INITIALIZER(messages);
	struct relay_message *stop = relay_message_new(RELAY_STOP, NULL);

	STAILQ_INSERT_TAIL(&messages, stop, next);
	relay_worker_send(w, &messages);
}

static void run(bool is_wanted)
{
	struct relay_limit limit;
	struct relay_worker *w;
	struct relay_shared shared = {.limit = &limit, .workers = &w, .n_workers = 1};

	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	relay_limit_init(&limit, 1);
	if (relay_worker_new(&shared, &w) != 0)
		_exit(2);
	if (is_wanted) {
		relay_worker_free(w);
		_exit(0);
	}
	send_stop(w);
	(void)alarm(20);
	for (;;)
		(void)pause();
}

static int status_of(bool is_wanted)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		run(is_wanted);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_worker_that_ends_by_itself_ends_the_process(void **state)
{
	int status = status_of(false);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void a_worker_that_is_stopped_does_not(void **state)
{
	assert_int_equal(status_of(true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_that_ends_by_itself_ends_the_process),
		cmocka_unit_test(a_worker_that_is_stopped_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
