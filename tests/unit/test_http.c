/*
 * The request for each field of a kubeconfig, and its route.
 */
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "tests/unit/fake_server.h"
#include "watchers/kube/http.h"
#include "watchers/kube/kubeconfig.h"

struct caller {
	struct ev_loop *loop;
	struct fake_server *server;
	struct http *http;
	int status, err;
	unsigned n_done;
	char why[400];
	size_t len, max_len; /* of the body; more is not wanted when max_len is set */
};

static void on_status(void *data, int status, uint32_t retry_after_sec)
{
	(void)retry_after_sec;
	((struct caller *)data)->status = status;
}

static int on_body(void *data, const char *bytes, size_t len)
{
	struct caller *c = data;

	(void)bytes;
	assert_in_range(len, 1, 256 << 10);
	c->len += len;
	return c->max_len && c->len > c->max_len;
}

static void on_done(void *data, int err, const char *why)
{
	struct caller *c = data;

	assert_non_null(why);
	(void)snprintf(c->why, sizeof(c->why), "%s", why);
	c->n_done++;
	c->err = err;
	ev_break(c->loop, EVBREAK_ALL);
}

static const struct http_events events = {on_status, on_body, on_done};

static void server_open(struct caller *c, const struct fake_answer *answers, size_t n)
{
	c->loop = ev_loop_new(0);
	c->server = fake_server_new(c->loop, answers, n);
}

static void server_close(struct caller *c)
{
	fake_server_free(c->server);
	ev_loop_destroy(c->loop);
}

static void get(struct caller *c, const struct kube_config *config)
{
	const struct http_spec spec = {.method = "GET", .path = "/x", .total_sec = 10};

	c->status = c->err = 0;
	c->len = 0;
	c->http = http_new(c->loop, config, "agent/1");
	(void)http_call_start(c->http, &spec, &events, c);
	ev_run(c->loop, 0);
	http_free(c->http);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

static char *const groups[] = {(char *)"one", (char *)"two", NULL};
static char *const extra[] = {(char *)"example.org%2fwhy: because", NULL};

static const struct {
	struct kube_config config;
	const char *header;
} identities[] = {
	{{0}, "User-Agent: agent/1\r\n"},
	{{0}, "Accept: application/json\r\n"},
	{{0}, "Accept-Encoding: gzip\r\n"},
	{{.token = (char *)"secret"}, "Authorization: Bearer secret\r\n"},
	{{.username = (char *)"me", .password = (char *)"pass"},
	 "Authorization: Basic bWU6cGFzcw==\r\n"},
	{{.as = (char *)"other"}, "Impersonate-User: other\r\n"},
	{{.as_uid = (char *)"7"}, "Impersonate-Uid: 7\r\n"},
	{{.as_groups = (char **)groups}, "Impersonate-Group: two\r\n"},
	{{.as_extra = (char **)extra},
	 "Impersonate-Extra-example.org%2fwhy: because\r\n"},
};

static void each_field_of_a_request_is_a_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(identities); i++) {
		const struct fake_answer answers[] = {
			{.request = "GET /x",
			 .bytes = OK,
			 .header = identities[i].header},
		};
		struct kube_config config = identities[i].config;
		struct caller c = {0};

		server_open(&c, answers, N_ELEMENTS(answers));
		config.server = (char *)fake_server_url(c.server);
		get(&c, &config);
		if (c.status != 200)
			print_error("not sent: %s\n", identities[i].header);
		assert_int_equal(c.status, 200);
		assert_int_equal(c.len, 2);
		server_close(&c);
	}
}

static void a_request_without_compression_does_not_accept_gzip(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "GET",
		 .bytes = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
		 .header = "Accept-Encoding"},
		{.request = "GET", .bytes = OK},
	};
	struct kube_config config = {.disable_compression = true};
	struct caller c = {0};

	(void)state;
	server_open(&c, answers, N_ELEMENTS(answers));
	config.server = (char *)fake_server_url(c.server);
	get(&c, &config);
	assert_int_equal(c.status, 200);
	server_close(&c);
}

#define UNUSED "http://127.0.0.1:1"

/* The fake server is the proxy: then it is asked for whole URLs. */
static const struct {
	const char *what;
	const char *server; /* NULL: the fake server itself */
	bool has_proxy_url;
	bool has_env; /* http_proxy is the fake server, else UNUSED */
	const char *no_proxy;
	const char *request; /* NULL: it is not asked */
} ways[] = {
	{"proxy-url", "http://api.test:1", true, false, NULL, "GET http://api.test:1/x"},
	{"proxy-url wins over NO_PROXY", "http://api.test:1", true, false, "*",
	 "GET http://api.test:1/x"},
	{"proxy-url is used for this host, too", UNUSED, true, false, NULL,
	 "GET http://127.0.0.1:1/x"},
	{"the environment", "http://api.test:1", false, true, NULL,
	 "GET http://api.test:1/x"},
	{"but not for this host", NULL, false, false, NULL, "GET /x"},
	{"nor where NO_PROXY says", "http://api.test:1", false, true, ".test", NULL},
};

static void the_proxy_of_a_request_is_chosen_as_in_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(ways); i++) {
		const struct fake_answer answers[] = {
			{.request = ways[i].request ? ways[i].request : "GET",
			 .bytes = OK},
		};
		struct kube_config config = {0};
		struct caller c = {0};
		const char *url;

		server_open(&c, answers, N_ELEMENTS(answers));
		url = fake_server_url(c.server);
		config.server = (char *)(ways[i].server ? ways[i].server : url);
		config.proxy_url = ways[i].has_proxy_url ? (char *)url : NULL;
		(void)setenv("http_proxy", ways[i].has_env ? url : UNUSED, 1);
		if (ways[i].no_proxy)
			(void)setenv("NO_PROXY", ways[i].no_proxy, 1);
		print_message("  %s\n", ways[i].what);
		get(&c, &config);
		assert_int_equal(c.status, ways[i].request ? 200 : 0);
		(void)unsetenv("http_proxy");
		(void)unsetenv("NO_PROXY");
		server_close(&c);
	}
}

/* 200 MB of nothing in 200 kB. */
static void read_bomb(struct buf *out)
{
	FILE *f = popen("head -c 200000000 /dev/zero | gzip -9", "re");
	char chunk[4096];
	size_t n;

	assert_non_null(f);
	buf_add_string(out, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
			    "Connection: close\r\n\r\n");
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	assert_int_equal(pclose(f), 0);
}

static void compressed_bytes_are_delivered_in_small_pieces(void **state)
{
	struct buf bomb = BUF_INIT;
	struct caller c = {.max_len = 4 << 20};
	struct fake_answer answer = {.request = "GET"};
	struct kube_config config = {0};

	(void)state;
	read_bomb(&bomb);
	answer.bytes = bomb.data;
	answer.len = bomb.len;
	server_open(&c, &answer, 1);
	config.server = (char *)fake_server_url(c.server);
	get(&c, &config);
	assert_int_equal(c.err, -ECANCELED);
	assert_in_range(c.len, 4 << 20, 5 << 20);
	server_close(&c);
	buf_fini(&bomb);
}

static const struct {
	const char *what;
	bool is_ca;
	int err;
} fifos[] = {
	{"CA", true, -ENOKEY},
	{"client certificate", false, -EKEYREJECTED},
};

/* Opened by curl, it would block the loop. */
static void a_fifo_for_a_certificate_fails_the_call(void **state)
{
	char path[] = "/tmp/sluice-http.XXXXXX";

	(void)state;
	assert_int_not_equal(close(mkstemp(path)), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	for (size_t i = 0; i < N_ELEMENTS(fifos); i++) {
		const struct fake_answer answers[] = {{.request = "GET", .bytes = OK}};
		struct kube_config config = {.insecure = !fifos[i].is_ca};
		_cleanup_(freep) char *server = NULL;
		struct caller c = {0};

		print_message("  %s\n", fifos[i].what);
		server_open(&c, answers, N_ELEMENTS(answers));
		server = xasprintf("https%s", strchr(fake_server_url(c.server), ':'));
		config.server = server;
		if (fifos[i].is_ca)
			config.ca_file = path;
		else
			config.cert_file = config.key_file = path;
		(void)alarm(30);
		get(&c, &config);
		(void)alarm(0);
		assert_int_equal(c.err, fifos[i].err);
		assert_non_null(strstr(c.why, "(not a regular file)"));
		server_close(&c);
	}
	assert_int_equal(unlink(path), 0);
}

/* 20 calls with 10 in one go and 20 a second: half a second for the rest. */
static void calls_are_delayed_by_the_rate_limit(void **state)
{
	const struct fake_answer answers[] = {{.request = "GET", .bytes = OK}};
	const struct http_spec spec = {.method = "GET", .path = "/x"};
	struct kube_config config = {0};
	struct caller c = {0};
	uint64_t start_us = clock_monotonic_us();

	(void)state;
	server_open(&c, answers, N_ELEMENTS(answers));
	config.server = (char *)fake_server_url(c.server);
	c.http = http_new(c.loop, &config, "agent/1");
	http_set_rate(c.http, 20, 10);
	for (int i = 0; i < 20; i++)
		(void)http_call_start(c.http, &spec, &events, &c);
	while (c.n_done < 10)
		ev_run(c.loop, EVRUN_ONCE);
	assert_in_range(fake_server_n_requests(c.server, "/x"), 10, 19);
	while (c.n_done < 20)
		ev_run(c.loop, EVRUN_ONCE);
	/* never faster: a slow machine only makes it longer */
	assert_true(clock_monotonic_us() - start_us >= 450000);
	http_free(c.http);
	server_close(&c);
}

static size_t count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(folder);
	while (readdir(folder))
		n++;
	(void)closedir(folder);
	return n;
}

/* Like call after call of an API server that keeps closing: some are cut, some given up. */
static void a_thousand_connections_leak_no_descriptors(void **state)
{
	const struct fake_answer answers[] = {
		{.request = "/whole", .bytes = OK},
		{.request = "/cut",
		 .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"},
		{.request = "/stall", .bytes = "", .end = FAKE_STALL},
	};
	static const char *const paths[] = {"/whole", "/cut", "/stall"};
	struct kube_config config = {0};
	struct caller c = {0};
	size_t n_fds = 0, memory = 0;

	(void)state;
	server_open(&c, answers, N_ELEMENTS(answers));
	config.server = (char *)fake_server_url(c.server);
	c.http = http_new(c.loop, &config, "agent/1");
	for (int i = 0; i < 1200; i++) {
		const struct http_spec spec = {.method = "GET", .path = paths[i % 3]};
		struct http_call *call = http_call_start(c.http, &spec, &events, &c);

		if (i % 3 == 2)
			http_call_cancel(call);
		else
			ev_run(c.loop, 0);
		if (i == 300) {
			n_fds = count_fds();
			memory = mallinfo2().uordblks;
		}
	}
	assert_in_range(count_fds(), 1, n_fds + 4);
	/* (sanitizers don't count here, they look for leaks) */
	assert_in_range(mallinfo2().uordblks, 0, memory + (64 << 10));
	http_free(c.http);
	server_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_of_a_request_is_a_header),
		cmocka_unit_test(a_request_without_compression_does_not_accept_gzip),
		cmocka_unit_test(the_proxy_of_a_request_is_chosen_as_in_go),
		cmocka_unit_test(compressed_bytes_are_delivered_in_small_pieces),
		cmocka_unit_test(a_fifo_for_a_certificate_fails_the_call),
		cmocka_unit_test(calls_are_delayed_by_the_rate_limit),
		cmocka_unit_test(a_thousand_connections_leak_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
