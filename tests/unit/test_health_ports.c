/*
 * Health check node ports answer over real sockets what the services say.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/http/health_ports.h"
#include "proxy/http/http_server.h"
#include "tests/unit/capture.h"

#define LOOP_MAX_SEC 60.0

static bool proxy_is_healthy = true;

static bool is_healthy(void *data)
{
	(void)data;
	return proxy_is_healthy;
}

static uint16_t free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	(void)close(fd);
	return ntohs(sa.sin_port);
}

struct fetch {
	struct ev_io io;
	char text[4096];
	size_t len;
};

static void on_answer(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct fetch *f = container_of(w, struct fetch, io);
	ssize_t n = read(w->fd, f->text + f->len, sizeof(f->text) - 1 - f->len);

	(void)revents;
	if (n > 0)
		f->len += (size_t)n;
	else
		ev_break(loop, EVBREAK_ONE);
}

static void on_timeout(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ONE);
}

/* The answer to a request; "" without a listener. */
static const char *fetch(struct ev_loop *loop, struct fetch *f, uint16_t port,
			 const char *request)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct ev_timer timer;

	memset(f, 0, sizeof(*f));
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
		assert_int_equal(write(fd, request, strlen(request)), strlen(request));
		ev_io_init(&f->io, on_answer, fd, EV_READ);
		ev_io_start(loop, &f->io);
		ev_timer_init(&timer, on_timeout, LOOP_MAX_SEC, 0);
		ev_timer_start(loop, &timer);
		ev_run(loop, 0);
		ev_io_stop(loop, &f->io);
		ev_timer_stop(loop, &timer);
	}
	(void)close(fd);
	return f->text;
}

/* 0: not an answer */
static int status_of(const char *answer)
{
	int status = 0;

	(void)sscanf(answer, "HTTP/1.1 %d ", &status);
	return status;
}

/* -1: without the header */
static int weight_of(const char *answer)
{
	const char *header = "\r\nX-Load-Balancing-Endpoint-Weight: ";
	const char *at = strstr(answer, header);

	return at ? atoi(at + strlen(header)) : -1;
}

#define GET "GET /anything HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static struct service *make_service(enum family family, const char *port_name,
				    uint16_t port, uint32_t local_ready)
{
	struct service_spec spec = {
		.ns = "ns",
		.name = "web",
		.port_name = port_name,
		.family = family,
		.proto = IPPROTO_TCP,
		.health_check_port = port,
		.local_ready = local_ready,
	};

	return service_new(&spec);
}

static int apply(struct sink *sink, bool full, const struct service *old,
		 const struct service *new)
{
	struct change change = {old, new};
	struct changeset cs = {.full = full, .changes = &change, .n = old || new};

	return sink_apply(sink, &cs);
}

struct ports {
	struct ev_loop *loop;
	struct sink *sink;
};

static int set_up(void **state)
{
	const struct health_ports_hooks hooks = {.is_healthy = is_healthy};
	struct ports *p = xcalloc(1, sizeof(*p));

	p->loop = ev_loop_new(0);
	p->sink = health_ports_new(p->loop, &hooks);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct ports *p = *state;

	sink_close(p->sink);
	ev_loop_destroy(p->loop);
	free(p);
	return 0;
}

static void a_health_port_reports_local_endpoints_of_its_service(void **state)
{
	const struct ports *p = *state;
	uint16_t port = free_port();
	struct service *three = make_service(FAMILY_IPV4, "a", port, 3);
	struct service *none = make_service(FAMILY_IPV4, "a", port, 0);
	struct fetch f;

	assert_int_equal(apply(p->sink, true, NULL, three), 0);
	assert_int_equal(status_of(fetch(p->loop, &f, port, GET)), 200);
	assert_int_equal(weight_of(f.text), 3);
	assert_non_null(strstr(f.text, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(f.text, "\"localEndpoints\": 3,"));

	proxy_is_healthy = false;
	assert_int_equal(status_of(fetch(p->loop, &f, port, GET)), 503);
	proxy_is_healthy = true;

	assert_int_equal(apply(p->sink, false, three, none), 0);
	assert_int_equal(status_of(fetch(p->loop, &f, port, GET)), 503);
	assert_int_equal(weight_of(f.text), 0);

	assert_int_equal(apply(p->sink, false, none, NULL), 0);
	assert_string_equal(fetch(p->loop, &f, port, GET), "");
	service_unref(three);
	service_unref(none);
}

static void a_health_port_that_moves_is_closed_and_opened(void **state)
{
	const struct ports *p = *state;
	uint16_t before = free_port(), after = free_port();
	struct service *old = make_service(FAMILY_IPV4, "a", before, 1);
	struct service *new = make_service(FAMILY_IPV4, "a", after, 1);
	struct service *other = make_service(FAMILY_IPV6, "a", after, 2);
	struct fetch f;

	assert_int_equal(apply(p->sink, true, NULL, old), 0);
	assert_int_equal(apply(p->sink, false, old, new), 0);
	assert_string_equal(fetch(p->loop, &f, before, GET), "");
	assert_int_equal(status_of(fetch(p->loop, &f, after, GET)), 200);
	assert_int_equal(apply(p->sink, false, NULL, other), 0);
	assert_int_equal(apply(p->sink, false, new, NULL), 0);
	assert_int_equal(weight_of(fetch(p->loop, &f, after, GET)), 2);
	assert_int_equal(apply(p->sink, true, NULL, NULL), 0);
	assert_string_equal(fetch(p->loop, &f, after, GET), "");
	service_unref(old);
	service_unref(new);
	service_unref(other);
}

static void a_health_port_in_use_is_tried_again(void **state)
{
	const struct ports *p = *state;
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct service *s;
	struct fetch f;

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	s = make_service(FAMILY_IPV4, "a", ntohs(sa.sin_port), 1);
	assert_int_not_equal(apply(p->sink, true, NULL, s), 0);
	(void)close(fd);
	assert_int_equal(apply(p->sink, true, NULL, s), 0);
	assert_int_equal(status_of(fetch(p->loop, &f, ntohs(sa.sin_port), GET)), 200);
	service_unref(s);
}

static void a_request_with_an_endless_header_is_closed(void **state)
{
	const struct ports *p = *state;
	uint16_t port = free_port();
	struct service *s = make_service(FAMILY_IPV4, "a", port, 1);
	_cleanup_(freep) char *request = calloc(1, 2 * HTTP_SERVER_MEMORY_LEN);
	struct fetch f;

	strcpy(request, "GET / HTTP/1.1\r\nX: ");
	memset(request + strlen(request), 'x', 2 * HTTP_SERVER_MEMORY_LEN - 64);
	assert_int_equal(apply(p->sink, true, NULL, s), 0);
	assert_int_equal(status_of(fetch(p->loop, &f, port, request)), 431);
	assert_int_equal(status_of(fetch(p->loop, &f, port, GET)), 200);
	service_unref(s);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Each has sent the start of a request, and no more. */
static void slow_clients_do_not_block_other_clients(void **state)
{
	const struct ports *p = *state;
	uint16_t port = free_port();
	struct service *s = make_service(FAMILY_IPV4, "a", port, 1);
	int slow[600]; /* more than twice as many as may be open */
	struct fetch f;

	assert_int_equal(apply(p->sink, true, NULL, s), 0);
	for (size_t i = 0; i < N_ELEMENTS(slow); i++) {
		slow[i] = connect_to(port);
		assert_int_equal(write(slow[i], "GET /", 5), 5);
		ev_run(p->loop, EVRUN_NOWAIT);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(status_of(fetch(p->loop, &f, port, GET)), 200);
	for (size_t i = 0; i < N_ELEMENTS(slow); i++)
		(void)close(slow[i]);
	service_unref(s);
}

/* The answer of a Service of two families depends on the family of the client. */
static void each_family_of_a_service_has_its_own_health_answer(void **state)
{
	const struct ports *p = *state;
	uint16_t port = free_port();
	struct service *v4 = make_service(FAMILY_IPV4, "a", port, 0);
	struct service *v6 = make_service(FAMILY_IPV6, "a", port, 2);
	struct fetch f;

	assert_int_equal(apply(p->sink, true, NULL, v6), 0);
	assert_non_null(strstr(fetch(p->loop, &f, port, GET), "Weight: 2\r\n"));
	assert_int_equal(apply(p->sink, false, NULL, v4), 0);
	assert_non_null(strstr(fetch(p->loop, &f, port, GET), "Weight: 0\r\n"));
	service_unref(v4);
	service_unref(v6);
}

static struct service *make_named_service(int number, uint16_t port)
{
	_cleanup_(freep) char *name = xasprintf("s%d", number);
	struct service_spec spec = {
		.ns = "ns",
		.name = name,
		.port_name = "",
		.family = FAMILY_IPV4,
		.proto = IPPROTO_TCP,
		.health_check_port = port,
	};

	return service_new(&spec);
}

static struct service *make_node_port(uint16_t port)
{
	const struct frontend frontend = {
		.addr = addr_unspecified(FAMILY_IPV4),
		.port = port,
		.kind = FRONTEND_NODE_PORT,
		.from = {{.action = ACTION_REJECT},
			 {.action = ACTION_REJECT},
			 {.action = ACTION_REJECT}},
	};

	return service_new(&(struct service_spec){
		.ns = "ns",
		.name = "other",
		.port_name = "",
		.family = FAMILY_IPV4,
		.proto = IPPROTO_TCP,
		.frontends = &frontend,
		.n_frontends = 1,
	});
}

static unsigned n_failed;

static void count_failure(void *data, const char *ns, const char *name, uint16_t port,
			  int err)
{
	(void)data;
	(void)ns;
	(void)name;
	(void)port;
	assert_int_equal(err, -EADDRINUSE);
	n_failed++;
}

/* Whichever comes first, and with full change sets as with deltas. */
static void a_node_port_keeps_its_number_from_a_health_port(void **state)
{
	const struct health_ports_hooks hooks = {.is_healthy = is_healthy,
						 .failed = count_failure};
	const uint16_t port = free_port();
	struct service *s = make_service(FAMILY_IPV4, "a", port, 1);
	struct service *other = make_node_port(port);
	struct ev_loop *loop = ev_loop_new(0);
	struct sink *sink = health_ports_new(loop, &hooks);
	struct fetch f;
	const char *log;

	(void)state;
	n_failed = 0;
	assert_int_equal(apply(sink, true, NULL, s), 0);
	assert_int_equal(weight_of(fetch(loop, &f, port, GET)), 1);
	capture_start();
	assert_int_equal(apply(sink, false, NULL, other), 0);
	assert_int_equal(apply(sink, false, s, s), 0);
	log = capture_end();
	assert_int_equal(capture_count(log, "it is the node port of a Service"), 1);
	assert_int_equal(weight_of(fetch(loop, &f, port, GET)), -1);
	assert_int_equal(n_failed, 1);
	assert_int_equal(apply(sink, false, other, NULL), 0);
	assert_int_equal(weight_of(fetch(loop, &f, port, GET)), 1);
	assert_int_equal(apply(sink, false, NULL, other), 0);
	assert_int_equal(weight_of(fetch(loop, &f, port, GET)), -1);
	assert_int_equal(apply(sink, true, NULL, s), 0);
	assert_int_equal(weight_of(fetch(loop, &f, port, GET)), 1);
	sink_close(sink);
	ev_loop_destroy(loop);
	service_unref(s);
	service_unref(other);
}

static void a_health_port_that_stays_in_use_is_reported_once(void **state)
{
	const struct health_ports_hooks hooks = {.is_healthy = is_healthy,
						 .failed = count_failure};
	struct ev_loop *loop = ev_loop_new(0);
	struct sink *sink = health_ports_new(loop, &hooks);
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct service *s;
	const char *log;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	s = make_service(FAMILY_IPV4, "a", ntohs(sa.sin_port), 1);
	capture_start();
	for (int i = 0; i < 5; i++)
		assert_int_equal(apply(sink, true, NULL, s), -EREMOTEIO);
	log = capture_end();
	assert_int_equal(n_failed, 1);
	assert_non_null(
		strstr(log,
		       "of ns/web: could not open, retrying: Address already in use"));
	assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1);
	(void)close(fd);
	sink_close(sink);
	service_unref(s);
	ev_loop_destroy(loop);
}

/* Each port takes one descriptor, and running out of them is one line in the log. */
static void health_ports_beyond_the_descriptor_limit_are_one_log_line(void **state)
{
	const struct health_ports_hooks hooks = {.is_healthy = is_healthy};
	enum { N = 40, LIMIT = 32 };
	struct ev_loop *loop = ev_loop_new(0);
	struct sink *sink = health_ports_new(loop, &hooks);
	struct change changes[N];
	struct changeset cs = {.full = true, .changes = changes, .n = N};
	struct rlimit before, few = {.rlim_cur = LIMIT};
	const char *log;

	(void)state;
	for (int i = 0; i < N; i++)
		changes[i] = (struct change){
			.new = make_named_service(i, (uint16_t)(32100 + i))};
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	capture_start();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(sink_apply(sink, &cs), -EREMOTEIO);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	log = capture_end();
	assert_non_null(
		strstr(log,
		       "more ports): could not open, retrying: Too many open files"));
	assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1);
	capture_start();
	assert_int_equal(sink_apply(sink, &cs), 0);
	assert_int_equal(capture_count(capture_end(), "open now"), 1);
	sink_close(sink);
	for (int i = 0; i < N; i++)
		service_unref((struct service *)(uintptr_t)changes[i].new);
	ev_loop_destroy(loop);
}

#define WITH_PORTS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PORTS(a_health_port_reports_local_endpoints_of_its_service),
		WITH_PORTS(a_health_port_that_moves_is_closed_and_opened),
		WITH_PORTS(a_health_port_in_use_is_tried_again),
		WITH_PORTS(a_request_with_an_endless_header_is_closed),
		WITH_PORTS(slow_clients_do_not_block_other_clients),
		WITH_PORTS(each_family_of_a_service_has_its_own_health_answer),
		cmocka_unit_test(a_health_port_that_stays_in_use_is_reported_once),
		cmocka_unit_test(a_node_port_keeps_its_number_from_a_health_port),
		cmocka_unit_test(
			health_ports_beyond_the_descriptor_limit_are_one_log_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
