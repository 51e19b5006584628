/*
 * Credentials that change while the API client is at work.
 */
#include "tests/test.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "tests/unit/kube_run.h"
#include "tests/unit/world.h"
#include "watchers/kube/kube.h"

#define REFUSED                                                                          \
	"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* Links as the kubelet makes them: token -> ..data/token, ..data -> 1 or 2. */
struct account {
	struct world world;
	char *kubeconfig;
};

/* Replaces the link in one step, as the kubelet does. */
static void point_to(const struct account *a, const char *version)
{
	world_link(&a->world, version, "..tmp");
	world_rename(&a->world, "..tmp", "..data");
}

static void account_open(struct account *a)
{
	world_open(&a->world);
	world_link(&a->world, "..data/token", "token");
	world_write(&a->world, "1/token", "first\n");
	world_write(&a->world, "2/token", "second\n");
	point_to(a, "1");
	world_write(&a->world, "config",
		    "clusters: [{name: c, cluster: {server: 'https://x'}}]\n"
		    "contexts: [{name: k, context: {cluster: c, user: u}}]\n"
		    "current-context: k\n"
		    "users: [{name: u, user: {tokenFile: token}}]\n");
	a->kubeconfig = world_path(&a->world, "config");
}

static void account_close(struct account *a)
{
	world_close(&a->world);
	free(a->kubeconfig);
}

#define FIRST  "Authorization: Bearer first\r\n"
#define SECOND "Authorization: Bearer second\r\n"

/* Requests with the first token are refused, those with the second one are served. */
static const struct fake_answer second_only[] = {
	{.request = "GET", .bytes = REFUSED, .header = FIRST},
	{.request = "/services",
	 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
	 .is_body = true,
	 .end = FAKE_STALL,
	 .header = SECOND},
	OTHERS,
};

static void a_token_that_was_rotated_is_used_within_a_second(void **state)
{
	struct run r = {0};
	struct account a;
	unsigned n_refused;

	(void)state;
	account_open(&a);
	r.kubeconfig = a.kubeconfig;
	run_open(&r, second_only, N_ELEMENTS(second_only));
	/* Long enough for the waits to have grown to more than a second. */
	assert_false(wait_for(&r, never, 6.0));
	n_refused = fake_server_n_requests(r.server, "/services");
	assert_in_range(n_refused, 2, 5);
	assert_false(r.has_synced);
	point_to(&a, "2");
	assert_true(wait_for(&r, has_web, 2.5));
	/* One more may have been due before the file was looked at. */
	assert_in_range(fake_server_n_requests(r.server, "/services"), n_refused + 1,
			n_refused + 2);
	run_close(&r);
	account_close(&a);
}

static bool is_refused(const struct run *r)
{
	return fake_server_n_requests(r->server, "/services") > 0;
}

static void a_token_rotated_before_a_refusal_is_used_immediately(void **state)
{
	struct run r = {0};
	struct account a;

	(void)state;
	account_open(&a);
	r.kubeconfig = a.kubeconfig;
	run_open(&r, second_only, N_ELEMENTS(second_only));
	point_to(&a, "2");
	assert_true(wait_for(&r, is_refused, SEC));
	assert_true(wait_for(&r, has_web, 0.7));
	assert_int_equal(fake_server_n_requests(r.server, "/services"), 2);
	run_close(&r);
	account_close(&a);
}

/* A plugin that gives another token each time, and only if it gets the cluster. */
static void add_plugin(const struct account *a)
{
	_cleanup_(freep) char *script = NULL;

	world_write(&a->world, "plugin",
		    "#!/bin/sh\n"
		    "cd \"${0%/*}\"\n"
		    "echo run >>runs\n"
		    "case $KUBERNETES_EXEC_INFO in "
		    "*'\"certificate-authority-data\":\"Q0E=\"'*)\n"
		    "  echo '{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'"
		    "$(sed -n '1s/.*/first/p;2s/.*/second/p' runs | tail -n 1)'\"}}'\n"
		    "esac\n");
	script = world_path(&a->world, "plugin");
	assert_int_equal(chmod(script, 0700), 0);
	world_write(
		&a->world, "config",
		"clusters: [{name: c, cluster: {server: 'https://x', "
		"certificate-authority-data: Q0E=}}]\n"
		"contexts: [{name: k, context: {cluster: c, user: u}}]\n"
		"current-context: k\n"
		"users: [{name: u, user: {exec: {command: ./plugin, provideClusterInfo: "
		"true, interactiveMode: Never, apiVersion: "
		"client.authentication.k8s.io/v1}}}]\n");
}

static void a_refused_token_of_a_plugin_is_fetched_again(void **state)
{
	struct run r = {0};
	struct account a;

	(void)state;
	account_open(&a);
	add_plugin(&a);
	r.kubeconfig = a.kubeconfig;
	run_open(&r, second_only, N_ELEMENTS(second_only));
	assert_true(wait_for(&r, has_web, SEC));
	/* All kinds were refused, one run was enough for them. */
	assert_int_equal(fake_server_n_requests(r.server, "/services"), 2);
	assert_int_equal(fake_server_n_requests(r.server, "/nodes"), 2);
	run_close(&r);
	account_close(&a);
}

/* One refusal arrives when the second credential is in use already: it is about the first. */
static void a_late_refusal_keeps_the_new_credential(void **state)
{
	static char late[5200]; /* a byte each half millisecond: after the second run */
	static const struct fake_answer answers[] = {
		{.request = "/nodes", .bytes = late, .piece_len = 1, .header = FIRST},
		{.request = "GET", .bytes = REFUSED, .header = FIRST},
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
		 .is_body = true,
		 .end = FAKE_STALL,
		 .header = SECOND},
		OTHERS,
	};
	_cleanup_(freep) char *runs = NULL;
	struct run r = {0};
	struct account a;

	(void)state;
	(void)snprintf(late, sizeof(late),
		       "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n"
		       "Connection: close\r\nX-A: %05000d\r\n\r\n",
		       0);
	account_open(&a);
	add_plugin(&a);
	r.kubeconfig = a.kubeconfig;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_true(wait_for(&r, has_web, 3 * SEC));
	runs = world_read(&a.world, "runs");
	assert_string_equal(runs, "run\nrun\n");
	run_close(&r);
	account_close(&a);
}

static void refused_static_credentials_are_retried_less_and_less_often(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/services", .bytes = REFUSED},
		OTHERS,
	};
	struct run r = {0};

	(void)state;
	run_open(&r, answers, N_ELEMENTS(answers));
	assert_false(wait_for(&r, never, 0.7));
	assert_int_equal(fake_server_n_requests(r.server, "/services"), 1);
	assert_false(wait_for(&r, never, 3.0));
	assert_in_range(fake_server_n_requests(r.server, "/services"), 2, 3);
	run_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_that_was_rotated_is_used_within_a_second),
		cmocka_unit_test(a_refused_token_of_a_plugin_is_fetched_again),
		cmocka_unit_test(a_token_rotated_before_a_refusal_is_used_immediately),
		cmocka_unit_test(a_late_refusal_keeps_the_new_credential),
		cmocka_unit_test(
			refused_static_credentials_are_retried_less_and_less_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
