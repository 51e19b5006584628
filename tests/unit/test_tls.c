/*
 * Certificates that are renewed while the API client runs: ours and the server's.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/unit/capture.h"
#include "tests/unit/kube_run.h"
#include "tests/unit/tls_front.h"
#include "tests/unit/world.h"
#include "watchers/kube/http.h"
#include "watchers/kube/kubeconfig.h"

struct tls_world {
	struct world world;
	struct pki *pki;
	struct identity server, expired;
	struct identity client[3]; /* "first", "second" and "third" */
	char *kubeconfig;
};

static int set_up(void **state)
{
	static const char *const names[] = {"first", "second", "third"};
	static struct tls_world w;

	w = (struct tls_world){0};
	world_open(&w.world);
	w.pki = pki_new();
	w.server = pki_issue(w.pki, "server", 1);
	w.expired = pki_issue(w.pki, "server", -1);
	for (size_t i = 0; i < N_ELEMENTS(w.client); i++)
		w.client[i] = pki_issue(w.pki, names[i], 1);
	world_write(&w.world, "ca.crt", pki_ca(w.pki));
	w.kubeconfig = world_path(&w.world, "config");
	*state = &w;
	return 0;
}

static int tear_down(void **state)
{
	struct tls_world *w = *state;

	identity_free(&w->server);
	identity_free(&w->expired);
	for (size_t i = 0; i < N_ELEMENTS(w->client); i++)
		identity_free(&w->client[i]);
	pki_free(w->pki);
	free(w->kubeconfig);
	world_close(&w->world);
	return 0;
}

static void write_kubeconfig(const struct tls_world *w, const char *user)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	buf_printf(&text,
		   "clusters: [{name: c, cluster: {server: 'https://x', "
		   "certificate-authority: ca.crt}}]\n"
		   "contexts: [{name: k, context: {cluster: c, user: u}}]\n"
		   "current-context: k\n"
		   "users: [{name: u, user: {%s}}]\n",
		   user);
	world_write(&w->world, "config", buf_string(&text));
}

/* As the kubelet replaces the pair that it renews. */
static void write_client(const struct tls_world *w, const struct identity *client)
{
	world_write(&w->world, "new.crt", client->cert);
	world_write(&w->world, "new.key", client->key);
	world_rename(&w->world, "new.crt", "client.crt");
	world_rename(&w->world, "new.key", "client.key");
}

struct call {
	struct ev_loop *loop;
	int status, err;
	char why[400];
};

static void on_status(void *data, int status, uint32_t retry_after_sec)
{
	(void)retry_after_sec;
	((struct call *)data)->status = status;
}

static void on_done(void *data, int err, const char *why)
{
	struct call *c = data;

	c->err = err;
	(void)snprintf(c->why, sizeof(c->why), "%s", why);
	ev_break(c->loop, EVBREAK_ALL);
}

static struct call get(struct ev_loop *loop, struct http *http)
{
	static const struct http_events events = {.on_status = on_status,
						  .on_done = on_done};
	const struct http_spec spec = {.method = "GET", .path = "/x", .total_sec = 10};
	struct call call = {.loop = loop};

	(void)http_call_start(http, &spec, &events, &call);
	(void)ev_run(loop, 0);
	return call;
}

/* The connection stays open, and would be used again. */
#define STATUS_OF(name, status)                                                          \
	{                                                                                \
		.request = "/x", .header = "Client: " name "\r\n", .end = FAKE_STALL,    \
		.bytes = "HTTP/1.1 " status " OK\r\nContent-Length: 0\r\n\r\n",          \
	}

static const struct fake_answer by_client[] = {
	STATUS_OF("first", "201"),
	STATUS_OF("second", "202"),
	STATUS_OF("third", "203"),
};

static void a_renewed_client_certificate_is_used_for_the_next_call(void **state)
{
	struct tls_world *w = *state;
	struct ev_loop *loop = w->world.loop;
	struct fake_server *server =
		fake_server_new(loop, by_client, N_ELEMENTS(by_client));
	struct tls_front *front = tls_front_new(fake_server_url(server), &w->server);
	struct kube_config config = {
		.server = (char *)(uintptr_t)tls_front_url(front),
		.ca_pem = (char *)(uintptr_t)pki_ca(w->pki),
		.cert_file = world_path(&w->world, "client.crt"),
		.key_file = world_path(&w->world, "client.key"),
	};
	struct http *http = http_new(loop, &config, "agent");

	write_client(w, &w->client[0]);
	assert_int_equal(get(loop, http).status, 201);
	write_client(w, &w->client[1]);
	assert_int_equal(get(loop, http).status, 202);
	/* that of a plugin */
	http_set_client_cert(http, w->client[2].cert, w->client[2].key);
	assert_int_equal(get(loop, http).status, 203);
	http_free(http);
	tls_front_free(front);
	fake_server_free(server);
	free(config.cert_file);
	free(config.key_file);
}

#define REFUSED                                                                          \
	"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* Clients without the second certificate are refused. */
static const struct fake_answer second_only[] = {
	{.request = "/services",
	 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
	 .is_body = true,
	 .end = FAKE_STALL,
	 .header = "Client: second\r\n"},
	{.request = "GET",
	 .bytes = END,
	 .is_body = true,
	 .end = FAKE_STALL,
	 .header = "Client: second\r\n"},
	{.request = "GET", .bytes = REFUSED},
};

static void a_refused_client_certificate_is_replaced_without_a_restart(void **state)
{
	struct tls_world *w = *state;
	struct run r = {.kubeconfig = w->kubeconfig, .identity = &w->server};

	write_client(w, &w->client[0]);
	write_kubeconfig(w, "client-certificate: client.crt, client-key: client.key");
	run_open(&r, second_only, N_ELEMENTS(second_only));
	assert_false(wait_for(&r, has_web, 1.0));
	assert_int_not_equal(fake_server_n_requests(r.server, "/services"), 0);
	write_client(w, &w->client[1]);
	assert_true(wait_for(&r, has_web, SEC));
	run_close(&r);
}

static void add_json(struct buf *out, const char *name, const char *pem)
{
	buf_printf(out, "\"%s\":\"", name);
	for (; *pem; pem++)
		buf_printf(out, *pem == '\n' ? "\\n" : "%c", *pem);
	buf_add_string(out, "\"");
}

/* The output of a plugin, in the file of that name. */
static void write_credential(const struct tls_world *w, const char *name,
			     const struct identity *client)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	buf_add_string(&text, "{\"kind\":\"ExecCredential\",\"status\":{");
	add_json(&text, "clientCertificateData", client->cert);
	buf_add_string(&text, ",");
	add_json(&text, "clientKeyData", client->key);
	buf_add_string(&text, "}}");
	world_write(&w->world, name, buf_string(&text));
}

static void the_next_certificate_of_a_plugin_is_used(void **state)
{
	struct tls_world *w = *state;
	struct run r = {.kubeconfig = w->kubeconfig, .identity = &w->server};
	_cleanup_(freep) char *plugin = world_path(&w->world, "plugin");

	write_credential(w, "credential", &w->client[0]);
	write_credential(w, "next", &w->client[1]);
	world_write(&w->world, "plugin",
		    "#!/bin/sh\n"
		    "cd \"${0%/*}\"\n"
		    "cat credential\n"
		    "mv next credential 2>/dev/null\n"
		    "true\n");
	assert_int_equal(chmod(plugin, 0700), 0);
	write_kubeconfig(w, "exec: {command: ./plugin, interactiveMode: Never, "
			    "apiVersion: client.authentication.k8s.io/v1}");
	run_open(&r, second_only, N_ELEMENTS(second_only));
	assert_true(wait_for(&r, has_web, SEC));
	assert_int_equal(fake_server_n_requests(r.server, "/services"), 2);
	run_close(&r);
}

static void
an_expired_server_certificate_is_logged_and_a_renewed_one_is_used(void **state)
{
	static const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
		 .is_body = true,
		 .end = FAKE_STALL},
		OTHERS,
	};
	struct tls_world *w = *state;
	struct run r = {.kubeconfig = w->kubeconfig, .identity = &w->expired};
	const char *log;

	write_kubeconfig(w, "token: t");
	capture_start();
	run_open(&r, answers, N_ELEMENTS(answers));
	(void)wait_for(&r, has_web, 1.5);
	assert_false(r.has_synced);
	tls_front_set_identity(r.front, &w->server);
	assert_true(wait_for(&r, has_web, 2 * SEC));
	log = capture_end();
	assert_int_not_equal(
		capture_count(log, "certificate has expired; renew its certificate, or "
				   "set this host's clock, or change the server in "),
		0);
	assert_int_equal(capture_count(log, ": reachable again after "), 1);
	run_close(&r);
}

/* --master in a Pod: the address is another one, token and CA are the account's. */
static void with_master_the_account_of_the_pod_is_used(void **state)
{
	static const struct fake_answer answers[] = {
		{.request = "/services",
		 .bytes = EVENT("ADDED", SERVICE("web", "10.96.0.1")) END,
		 .is_body = true,
		 .end = FAKE_STALL,
		 .header = "Authorization: Bearer of-the-pod\r\n"},
		OTHERS,
	};
	struct tls_world *w = *state;
	struct run r = {.identity = &w->server, .service_account = w->world.folder};

	world_write(&w->world, "token", "of-the-pod\n");
	(void)setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1", 1);
	(void)setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	run_open(&r, answers, N_ELEMENTS(answers));
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	(void)unsetenv("KUBERNETES_SERVICE_PORT");
	assert_true(wait_for(&r, has_web, SEC));
	run_close(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_renewed_client_certificate_is_used_for_the_next_call),
		TEST(a_refused_client_certificate_is_replaced_without_a_restart),
		TEST(the_next_certificate_of_a_plugin_is_used),
		TEST(an_expired_server_certificate_is_logged_and_a_renewed_one_is_used),
		TEST(with_master_the_account_of_the_pod_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
