/*
 * Credential plugins that fail, hang, print too much or leave processes running.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "tests/unit/capture.h"
#include "tests/unit/kube_run.h"
#include "tests/unit/world.h"
#include "watchers/kube/exec_plugin.h"
#include "watchers/kube/kube.h"
#include "watchers/kube/kubeconfig.h"

#define CREDENTIAL "echo '{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t\"}}'"

struct outcome {
	struct ev_loop *loop;
	unsigned n_done;
	char token[16], why[128];
};

static void on_done(void *data, const struct exec_credential *credential, const char *why)
{
	struct outcome *o = data;

	o->n_done++;
	(void)snprintf(o->token, sizeof(o->token), "%s",
		       credential ? credential->token : "");
	(void)snprintf(o->why, sizeof(o->why), "%s", why ? why : "");
	ev_break(o->loop, EVBREAK_ALL);
}

static struct exec_plugin *start(struct outcome *o, const char *script, double max_sec)
{
	char *args[] = {(char *)"-c", (char *)(uintptr_t)script, NULL};
	struct kube_exec exec = {.command = (char *)"/bin/sh", .args = args};
	const struct kube_config config = {.exec = &exec};
	struct exec_plugin *p = NULL;

	o->loop = ev_loop_new(0);
	assert_int_equal(exec_plugin_start(o->loop, &config, max_sec, on_done, o, &p), 0);
	return p;
}

static const struct {
	const char *what, *script;
	double max_sec;
	const char *why; /* "": the credential is there */
} runs[] = {
	{"a credential", CREDENTIAL, 0, ""},
	{"exit status", CREDENTIAL "; exit 1", 0, "exited with an error"},
	{"a signal", CREDENTIAL "; kill -TERM $$", 0, "exited with an error"},
	{"no output", "true", 0, "output is not JSON"},
	{"too much output",
	 "while :; do echo 0123456789012345678901234567890123456789; done", 0,
	 "output is larger than 256 KiB"},
	{"too slow", "sleep 100; " CREDENTIAL, 0.2, "took too long and was killed"},
	{"the usual limit of open files, soon after its start",
	 "until [ $(ulimit -Sn) -le 1024 ]; do :; done; " CREDENTIAL, 20, ""},
	{"a child of its own that hangs", "sleep 100 | cat; " CREDENTIAL, 0.2,
	 "took too long and was killed"},
	{"a process left with the pipe", "sleep 2 & " CREDENTIAL, 0, ""},
};

static void each_run_of_a_plugin_has_one_outcome(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(runs); i++) {
		struct outcome o = {0};
		uint64_t start_us = clock_monotonic_us();

		print_message("  %s\n", runs[i].what);
		(void)start(&o, runs[i].script, runs[i].max_sec);
		ev_run(o.loop, 0);
		assert_int_equal(o.n_done, 1);
		assert_string_equal(o.why, runs[i].why);
		assert_string_equal(o.token, *runs[i].why ? "" : "t");
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
		if (strstr(runs[i].what, "left"))
			assert_in_range(clock_monotonic_us() - start_us, 0, 1900000);
		ev_loop_destroy(o.loop);
	}
}

/* The daemon ignores it; pipelines in a plugin rely on it. */
static void a_plugin_has_the_default_action_of_sigpipe(void **state)
{
	struct outcome o = {0};

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)start(&o,
		    "grep -q '^SigIgn:.*[13579bdf]...$' /proc/self/status && exit "
		    "1; " CREDENTIAL,
		    0);
	ev_run(o.loop, 0);
	(void)signal(SIGPIPE, SIG_DFL);
	assert_string_equal(o.why, "");
	ev_loop_destroy(o.loop);
}

static void cancelling_kills_the_plugin_without_waiting(void **state)
{
	struct outcome o = {0};
	struct exec_plugin *p = start(&o, "sleep 100", 0);
	int status = 0;

	(void)state;
	exec_plugin_cancel(p);
	assert_int_equal(o.n_done, 0);
	if (waitpid(-1, &status, 0) != -1)
		assert_int_equal(WTERMSIG(status), SIGKILL);
	ev_loop_destroy(o.loop);
}

/* A kubeconfig with a plugin that counts its runs and returns this expirationTimestamp. */
static void write_config(const struct world *w, const char *expires)
{
	_cleanup_(freep) char *text = xasprintf(
		"clusters: [{name: c, cluster: {server: 'https://x'}}]\n"
		"contexts: [{name: k, context: {cluster: c, user: u}}]\n"
		"current-context: k\n"
		"users: [{name: u, user: {exec: {command: /bin/sh, interactiveMode: "
		"Never, apiVersion: client.authentication.k8s.io/v1, args: ['-c', "
		"'echo run >>%s/runs; echo \"{\\\"kind\\\":\\\"ExecCredential\\\","
		"\\\"status\\\":{\\\"token\\\":\\\"t\\\",\\\"expirationTimestamp\\\":"
		"\\\"%s\\\"}}\"']}}}]\n",
		w->folder, expires);

	world_write(w, "config", text);
}

/* As on a host whose clock is ahead: the API server decides, not this clock. */
static void an_expired_credential_is_used_and_not_fetched_in_a_loop(void **state)
{
	static const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
		 .is_body = true,
		 .end = FAKE_STALL,
		 .header = "Authorization: Bearer t\r\n"},
		OTHERS,
	};
	_cleanup_(freep) char *path = NULL, *runs_text = NULL;
	struct run r = {0};
	struct world w;
	const char *log;

	(void)state;
	world_open(&w);
	write_config(&w, "2020-01-02T03:04:05Z");
	path = world_path(&w, "config");
	r.kubeconfig = path;
	capture_start();
	run_open(&r, answers, N_ELEMENTS(answers));
	if (!wait_for(&r, has_web, SEC))
		print_error("no answer was read\n");
	else
		(void)wait_for(&r, never, 1.0);
	log = capture_end();
	assert_true(has_web(&r));
	runs_text = world_read(&w, "runs");
	assert_in_range(capture_count(runs_text, "run\n"), 1, 2);
	assert_int_equal(capture_count(log, "check this host's clock"), 1);
	run_close(&r);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_run_of_a_plugin_has_one_outcome),
		cmocka_unit_test(a_plugin_has_the_default_action_of_sigpipe),
		cmocka_unit_test(cancelling_kills_the_plugin_without_waiting),
		cmocka_unit_test(an_expired_credential_is_used_and_not_fetched_in_a_loop),
	};
	struct rlimit limit; /* raised, as the daemon does */

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
