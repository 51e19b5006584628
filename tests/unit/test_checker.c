/*
 * The checker with real sockets of this host: an HTTP server with a script, a port that
 * opens and closes, and one that accepts nothing.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/unit/cluster_text.h"
#include "tests/unit/fake_server.h"
#include "tests/unit/world.h"
#include "watchers/checks/checker.h"
#include "watchers/plan/plan.h"

#define QUICK                                                                            \
	"sluice.io/health-check-interval: 100ms, sluice.io/health-check-timeout: 50ms"

struct rig {
	struct world world;
	struct cluster *cluster;
	struct checker *checker;
	size_t n_changes;
	bool is_down;
	char why[128];
};

static void on_changed(void *data, const struct checker_endpoint *endpoint)
{
	struct rig *r = data;

	assert_string_equal(endpoint->ns, "default");
	assert_string_equal(endpoint->name, "web");
	r->n_changes++;
	r->is_down = endpoint->is_down;
	(void)snprintf(r->why, sizeof(r->why), "%s", endpoint->why);
}

static int set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	world_open(&r->world);
	r->cluster = cluster_new("here");
	r->checker = checker_new(r->world.loop, on_changed, r);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	checker_free(r->checker);
	cluster_free(r->cluster);
	world_close(&r->world);
	free(r);
	return 0;
}

/* The Service is planned; annotations NULL: it is deleted. ports: of its endpoint on 127.0.0.1. */
static void plan(struct rig *r, const char *annotations, uint16_t port)
{
	const struct plan_health *health = checker_plan_health(r->checker);
	_cleanup_(freep) const struct object_slice **slices = NULL;
	size_t n;

	if (!annotations) {
		health->planned(health->data, "default", "web", NULL, NULL, 0);
		return;
	}
	(void)cluster_put_format(
		r->cluster,
		"{apiVersion: v1, kind: Service, metadata: {name: web, namespace: "
		"default, "
		"annotations: {%s}}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}",
		annotations);
	(void)cluster_put_format(
		r->cluster,
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: "
		"web-1, namespace: default, labels: {kubernetes.io/service-name: web}}, "
		"addressType: IPv4, ports: [{name: '', port: %u}], endpoints: "
		"[{addresses: "
		"[127.0.0.1]}]}",
		port);
	slices = cluster_slices(r->cluster, "default", "web", &n);
	health->planned(health->data, "default", "web",
			cluster_service(r->cluster, "default", "web"), slices, n);
}

static const char *why_down(struct rig *r, uint16_t port)
{
	const struct plan_health *health = checker_plan_health(r->checker);
	struct addr addr;

	assert_int_equal(addr_parse("127.0.0.1", &addr), 0);
	return health->why_down(health->data,
				cluster_service(r->cluster, "default", "web"), &addr,
				port);
}

/* A socket at *port, or at a free one if that is 0; it does not listen yet. */
static int bind_at(in_addr_t addr, uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(*port)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	at.sin_addr.s_addr = htonl(addr);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static int bind_port(uint16_t *port)
{
	return bind_at(INADDR_LOOPBACK, port);
}

static bool is_down(void *data)
{
	const struct rig *r = data;

	return r->is_down;
}

static bool is_up_again(void *data)
{
	const struct rig *r = data;

	return r->n_changes > 0 && !r->is_down;
}

static bool has_succeeded(void *data)
{
	const struct rig *r = data;

	return checker_stats(r->checker).n_succeeded >= 3;
}

static void a_port_that_refuses_is_down_until_it_listens(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd = bind_port(&port);
	struct checker_stats stats;

	plan(r, "sluice.io/health-check: tcp, " QUICK, port);
	assert_int_equal(checker_stats(r->checker).n_endpoints, 1);
	assert_null(why_down(r, port)); /* not known yet: it counts as up */
	world_run_until(&r->world, is_down, r);
	assert_string_equal(why_down(r, port), "Connection refused");
	stats = checker_stats(r->checker);
	assert_int_equal(stats.n_down, 1);
	assert_int_equal(stats.n_failed, 3);
	assert_int_equal(listen(fd, 100), 0);
	world_run_until(&r->world, is_up_again, r);
	assert_null(why_down(r, port));
	stats = checker_stats(r->checker);
	assert_int_equal(stats.n_down, 0);
	assert_int_equal(stats.n_came_up, 1);
	assert_int_equal(stats.n_succeeded, 2);
	(void)close(fd);
}

/* A full backlog: the kernel does not answer the SYN. */
static void a_port_that_does_not_answer_is_down(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd = bind_port(&port), fill[4];
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(listen(fd, 0), 0);
	for (size_t i = 0; i < N_ELEMENTS(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&at, sizeof(at));
	}
	plan(r, "sluice.io/health-check: tcp, " QUICK, port);
	world_run_until(&r->world, is_down, r);
	assert_string_equal(r->why, "no answer within 50 ms");
	for (size_t i = 0; i < N_ELEMENTS(fill); i++)
		(void)close(fill[i]);
	(void)close(fd);
}

static const struct {
	const char *bytes; /* the answer */
	enum fake_end end;
	const char *flood;
	const char *why; /* NULL: it is up */
} http_cases[] = {
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", FAKE_CLOSE, NULL, NULL},
	{"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", FAKE_CLOSE,
	 NULL, NULL},
	/* the header is enough */
	{"HTTP/1.1 200 OK\r\n\r\n", FAKE_FLOOD, "more and more ", NULL},
	{"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", FAKE_CLOSE,
	 NULL, "HTTP status 503"},
	{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", FAKE_CLOSE, NULL,
	 "HTTP status 404"},
	{"HTTP/1.1 200", FAKE_STALL, NULL, "no answer within 50 ms"},
	{"SSH-2.0-x\r\n", FAKE_CLOSE, NULL, "the answer is not HTTP"},
	{"", FAKE_CLOSE, NULL, "connection closed without an answer"},
};

static void http_is_judged_by_the_status(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < N_ELEMENTS(http_cases); i++) {
		const struct fake_answer answer = {
			.request = "GET /live?x=1 HTTP/1.1",
			.bytes = http_cases[i].bytes,
			.end = http_cases[i].end,
			.flood = http_cases[i].flood,
		};
		struct fake_server *server = fake_server_new(r->world.loop, &answer, 1);
		uint16_t port = (uint16_t)atoi(strrchr(fake_server_url(server), ':') + 1);

		r->n_changes = 0;
		r->is_down = false;
		checker_free(r->checker);
		r->checker = checker_new(r->world.loop, on_changed, r);
		plan(r, "sluice.io/health-check: 'http:/live?x=1', " QUICK, port);
		world_run_until(&r->world, http_cases[i].why ? is_down : has_succeeded,
				r);
		if (http_cases[i].why && strcmp(r->why, http_cases[i].why) != 0)
			fail_msg("case %zu: %s", i, r->why);
		plan(r, NULL, 0);
		assert_int_equal(checker_stats(r->checker).n_endpoints, 0);
		fake_server_free(server);
	}
}

static void a_verdict_is_kept_while_the_question_is_the_same(void **state)
{
	struct rig *r = *state;
	uint16_t port = 0;
	int fd = bind_port(&port);

	plan(r, "sluice.io/health-check: tcp, " QUICK, port);
	world_run_until(&r->world, is_down, r);
	/* planned again, with another interval: nothing is forgotten */
	plan(r, "sluice.io/health-check: tcp, sluice.io/health-check-interval: 1m", port);
	assert_non_null(why_down(r, port));
	assert_int_equal(checker_stats(r->checker).n_down, 1);
	plan(r, "sluice.io/health-check: 'http:/'", port);
	assert_null(why_down(r, port));
	assert_int_equal(checker_stats(r->checker).n_down, 0);
	plan(r, "sluice.io/hold: 1s", port);
	assert_int_equal(checker_stats(r->checker).n_endpoints, 0);
	(void)close(fd);
}

static void an_endpoint_that_goes_during_its_check_leaves_nothing(void **state)
{
	struct rig *r = *state;
	const struct fake_answer answer = {.request = "GET /",
					   .bytes = "HTTP",
					   .end = FAKE_STALL};
	struct fake_server *server = fake_server_new(r->world.loop, &answer, 1);
	uint16_t port = (uint16_t)atoi(strrchr(fake_server_url(server), ':') + 1);

	for (int i = 0; i < 20; i++) {
		plan(r, "sluice.io/health-check: 'http:/', " QUICK, port);
		world_run(&r->world, 0.01 * i);
		plan(r, i % 2 ? NULL : "sluice.io/health-check: tcp, " QUICK, port);
	}
	plan(r, NULL, 0);
	world_run(&r->world, 0.2);
	assert_int_equal(checker_stats(r->checker).n_endpoints, 0);
	fake_server_free(server);
}

#define N_MORE (3 * CHECKER_MAX_RUNNING)

/* A Service with an endpoint at each of N_MORE addresses of this host. */
static void plan_more(struct rig *r, const char *name, const char *annotations,
		      uint16_t port)
{
	const struct plan_health *health = checker_plan_health(r->checker);
	_cleanup_(freep) const struct object_slice **slices = NULL;
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	size_t n;

	(void)cluster_put_format(
		r->cluster,
		"{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: "
		"default, "
		"annotations: {%s}}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}",
		name, annotations);
	buf_printf(&text,
		   "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		   "{name: %s-1, namespace: default, labels: "
		   "{kubernetes.io/service-name: %s}}, addressType: IPv4, ports: "
		   "[{name: '', port: %u}], endpoints: [",
		   name, name, port);
	for (unsigned i = 0; i < N_MORE; i++)
		buf_printf(&text, "%s{addresses: [127.9.%u.%u]}", i ? ", " : "", i / 250,
			   1 + i % 250);
	buf_add_string(&text, "]}");
	(void)cluster_put_text(r->cluster, buf_string(&text));
	slices = cluster_slices(r->cluster, "default", name, &n);
	health->planned(health->data, "default", name,
			cluster_service(r->cluster, "default", name), slices, n);
}

/* Checks of many run, and others wait for their turn. */
static void many_endpoints_are_checked_a_few_at_a_time(void **state)
{
	struct rig *r = *state;

	plan_more(r, "web", "sluice.io/health-check: tcp, " QUICK, 1);
	assert_int_equal(checker_stats(r->checker).n_endpoints, N_MORE);
	while (r->n_changes < N_MORE)
		world_run(&r->world, 0.05);
	assert_int_equal(checker_stats(r->checker).n_down, N_MORE);
}

/* Their Service is deleted: none of its checks ends, and so none makes room. */
static void deleted_checks_make_room_for_those_that_wait(void **state)
{
	static const char patient[] =
		"sluice.io/health-check: 'http:/', sluice.io/health-check-interval: 1h, "
		"sluice.io/health-check-timeout: 1h";
	struct rig *r = *state;
	const struct plan_health *health = checker_plan_health(r->checker);
	uint16_t silent = 0, closed = 0;
	int listening = bind_at(INADDR_ANY, &silent), fd = bind_port(&closed);

	assert_int_equal(listen(listening, 2 * N_MORE), 0); /* and accepts none */
	plan_more(r, "many", "sluice.io/health-check: 'http:/', " QUICK, silent);
	plan_more(r, "many", patient, silent); /* its checks start soon, and last */
	plan(r, "sluice.io/health-check: tcp, " QUICK, closed);
	world_run(&r->world, 0.3); /* those of "web" wait now */
	health->planned(health->data, "default", "many", NULL, NULL, 0);
	world_run_until(&r->world, is_down, r);
	(void)close(listening);
	(void)close(fd);
}

#define N_MANY	20000
#define N_PORTS 2
#define MAX_SEC 4 /* a step for each pair of endpoints would take minutes */

/* Two ports at each address, whose endpoints are sorted into each other. */
static void add_many(struct buf *text)
{
	buf_add_string(text,
		       "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
		       "{name: web-1, namespace: default, labels: "
		       "{kubernetes.io/service-name: web}}, addressType: IPv4, ports: "
		       "[{name: a, port: 1}, {name: b, port: 2}], endpoints: [");
	for (unsigned i = 0; i < N_MANY; i++)
		buf_printf(text, "%s{addresses: [127.%u.%u.9]}", i ? ", " : "",
			   1 + i / 250, i % 250);
	buf_add_string(text, "]}");
}

static void tens_of_thousands_of_endpoints_come_and_go_in_a_turn(void **state)
{
	struct rig *r = *state;
	const struct plan_health *health = checker_plan_health(r->checker);
	_cleanup_(freep) const struct object_slice **slices = NULL;
	struct buf text = BUF_INIT;
	clock_t start, used;
	size_t n;

	add_many(&text);
	(void)cluster_put_text(
		r->cluster,
		"{apiVersion: v1, kind: Service, metadata: {name: web, "
		"namespace: default, annotations: {sluice.io/health-check: "
		"tcp, sluice.io/health-check-interval: 100ms, "
		"sluice.io/health-check-fall: '9'}}, spec: {clusterIP: "
		"10.96.0.1, ports: [{name: a, port: 80}, {name: b, port: 81}]}}");
	(void)cluster_put_text(r->cluster, buf_string(&text));
	slices = cluster_slices(r->cluster, "default", "web", &n);
	start = clock();
	health->planned(health->data, "default", "web",
			cluster_service(r->cluster, "default", "web"), slices, n);
	used = clock() - start;
	assert_int_equal(checker_stats(r->checker).n_endpoints, N_PORTS * N_MANY);
	world_run(&r->world, 0.15); /* nearly all wait for their turn */
	start = clock();
	health->planned(health->data, "default", "web", NULL, NULL, 0);
	used += clock() - start;
	assert_int_equal(checker_stats(r->checker).n_endpoints, 0);
	assert_in_range(used, 0, MAX_SEC * CLOCKS_PER_SEC);
	buf_fini(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_port_that_refuses_is_down_until_it_listens),
		TEST(a_port_that_does_not_answer_is_down),
		TEST(http_is_judged_by_the_status),
		TEST(a_verdict_is_kept_while_the_question_is_the_same),
		TEST(an_endpoint_that_goes_during_its_check_leaves_nothing),
		TEST(many_endpoints_are_checked_a_few_at_a_time),
		TEST(deleted_checks_make_room_for_those_that_wait),
		TEST(tens_of_thousands_of_endpoints_come_and_go_in_a_turn),
	};

	return cmocka_run_group_tests_name("checker", tests, NULL, NULL);
}
