/*
 * Services at local ports: the number of the port, over restarts and with ports in use.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/sink.h"
#include "proxy/relay/relay.h"
#include "proxy/relay/relay_local.h"
#include "tests/unit/relay_rig.h"

struct local { /* a sink, and the endpoint of all services */
	struct sink *sink;
	int endpoint;
	uint16_t endpoint_port;
	size_t n_refused;
};

static struct addr loopback(enum family family)
{
	struct addr addr;

	assert_int_equal(addr_parse(family == FAMILY_IPV4 ? "127.0.0.1" : "::1", &addr),
			 0);
	return addr;
}

static int bind_to(const struct addr *addr, uint16_t *port)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, *port, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct addr own;

	/* connections that have ended do not keep the port */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 100), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, &own, port), 0);
	return fd;
}

static void open_sink(struct local *l, bool has_ipv6)
{
	const struct relay_params params = {
		.n_workers = 2,
		.local = {loopback(FAMILY_IPV4), loopback(FAMILY_IPV6)},
		.has_local = {true, has_ipv6},
	};
	char *why = NULL;

	assert_int_equal(relay_sink_new(&params, &l->sink, &why), 0);
}

static int set_up(void **state)
{
	struct local *l = xcalloc(1, sizeof(*l));
	struct addr addr = loopback(FAMILY_IPV4);

	l->endpoint = bind_to(&addr, &l->endpoint_port);
	open_sink(l, true);
	*state = l;
	return 0;
}

static int tear_down(void **state)
{
	struct local *l = *state;

	sink_close(l->sink);
	(void)close(l->endpoint);
	free(l);
	return 0;
}

/* A cluster IP that nothing routes to; without endpoints it rejects. */
static struct service *make(const struct local *l, const char *name, enum family family,
			    bool has_endpoint)
{
	struct frontend frontend = {.port = 80, .kind = FRONTEND_CLUSTER_IP};
	const struct endpoint endpoint = {loopback(FAMILY_IPV4), l->endpoint_port,
					  ENDPOINT_CLUSTER | ENDPOINT_SERVING};
	const struct endpoint endpoint6 = {loopback(FAMILY_IPV6), l->endpoint_port,
					   ENDPOINT_CLUSTER | ENDPOINT_SERVING};
	const char *text = family == FAMILY_IPV4 ? "10.96.0.1" : "fd00::1";

	assert_int_equal(addr_parse(text, &frontend.addr), 0);
	for (int class = 0; class < CLIENT_N; class ++)
		frontend.from[class].action =
			has_endpoint ? ACTION_BALANCE : ACTION_REJECT;
	return service_new(&(struct service_spec){
		.ns = "test",
		.name = name,
		.port_name = "http",
		.family = family,
		.proto = IPPROTO_TCP,
		.frontends = &frontend,
		.n_frontends = 1,
		.endpoints = family == FAMILY_IPV4 ? &endpoint : &endpoint6,
		.n_endpoints = has_endpoint,
	});
}

static void note_refused(void *data, const struct service *service, const char *why)
{
	struct local *l = data;

	(void)service;
	(void)why;
	l->n_refused++;
}

static int apply(struct local *l, bool is_full, struct service *const *services, size_t n)
{
	static const struct environment env = {.enabled = {true, true}};
	struct change changes[4] = {0};
	const struct changeset cs = {
		.full = is_full,
		.env = &env,
		.changes = changes,
		.n = n,
		.refuse = note_refused,
		.data = l,
	};

	for (size_t i = 0; i < n; i++)
		changes[i].new = services[i];
	return sink_apply(l->sink, &cs);
}

static struct sink_place place_of(const struct local *l, const struct service *s)
{
	struct sink_place place;

	l->sink->ops->view->place(l->sink, s, service_frontends(s), &place);
	return place;
}

/* The endpoint sends a byte on each connection. */
static void answer(const struct local *l)
{
	_cleanup_(closep) int server = accept4(l->endpoint, NULL, NULL, SOCK_CLOEXEC);

	(void)send(server, "x", 1, MSG_NOSIGNAL); /* it may have been reset */
}

/*
 * 0 if the endpoint's byte arrives; -errno. A connection that waits for a listener
 * that is closed gets a reset.
 */
static int try(const struct local *l, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	_cleanup_(closep) int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd events[] = {{.fd = client, .events = POLLIN},
				  {.fd = l->endpoint, .events = POLLIN}};
	char byte;
	ssize_t n;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(client, (struct sockaddr *)&sa, sizeof(sa)) == -1)
		return -errno;
	while (!events[0].revents) {
		assert_true(poll(events, N_ELEMENTS(events), RIG_TIMEOUT_MS) > 0);
		if (events[1].revents)
			answer(l);
	}
	n = recv(client, &byte, 1, 0);
	if (n == 1)
		return 0;
	return n == 0 ? -ECONNRESET : -errno;
}

static void a_service_is_served_at_its_local_port(void **state)
{
	struct local *l = *state;
	struct service *s = make(l, "web", FAMILY_IPV4, true);
	struct sink_place place;

	assert_int_equal(apply(l, true, &s, 1), 0);
	place = place_of(l, s);
	assert_non_null(place.why_not); /* at its cluster IP */
	assert_int_equal(place.local_port, relay_local_port(s, 0));
	assert_in_range(place.local_port, RELAY_LOCAL_FIRST, RELAY_LOCAL_LAST);
	assert_int_equal(try(l, place.local_port), 0);
	service_unref(s);
}

static void the_port_is_the_same_after_a_restart_and_in_both_families(void **state)
{
	struct local *l = *state;
	struct service *s[] = {make(l, "web", FAMILY_IPV4, true),
			       make(l, "web", FAMILY_IPV6, true)};
	uint16_t port;

	assert_int_equal(apply(l, true, s, 2), 0);
	port = place_of(l, s[0]).local_port;
	/* by the key alone: the same in every process */
	assert_int_equal(port, 22158);
	assert_int_equal(place_of(l, s[1]).local_port, port);
	sink_close(l->sink);
	open_sink(l, true);
	assert_int_equal(apply(l, true, s, 2), 0);
	assert_int_equal(place_of(l, s[0]).local_port, port);
	service_unref(s[0]);
	service_unref(s[1]);
}

static void the_next_free_port_is_taken_and_kept(void **state)
{
	struct local *l = *state;
	struct service *s = make(l, "web", FAMILY_IPV4, true);
	struct service *without = make(l, "web", FAMILY_IPV4, false);
	struct addr addr = loopback(FAMILY_IPV4);
	uint16_t taken = relay_local_port(s, 0), port;
	int fd = bind_to(&addr, &taken);

	assert_int_equal(apply(l, true, &s, 1), 0);
	port = place_of(l, s).local_port;
	assert_int_equal(port, relay_local_port(s, 1));
	assert_int_equal(try(l, port), 0);
	(void)close(fd);
	/* without endpoints the port is closed, and has the same number afterwards */
	assert_int_equal(apply(l, false, &without, 1), 0);
	for (int tries = 0; tries < 1000 && try(l, port) != -ECONNREFUSED; tries++)
		continue; /* the workers close it */
	assert_int_equal(try(l, port), -ECONNREFUSED);
	assert_int_equal(apply(l, false, &s, 1), 0);
	assert_int_equal(place_of(l, s).local_port, port);
	assert_int_equal(try(l, port), 0);
	service_unref(s);
	service_unref(without);
}

static void two_services_never_have_one_port(void **state)
{
	struct local *l = *state;
	struct service *web = make(l, "web", FAMILY_IPV4, true), *other = NULL;
	struct service *both[2];

	/* of so many names one has the port of web */
	for (unsigned i = 0; !other; i++) {
		_cleanup_(freep) char *name = xasprintf("other-%u", i);

		other = make(l, name, FAMILY_IPV4, true);
		if (relay_local_port(other, 0) == relay_local_port(web, 0))
			break;
		service_unref(other);
		other = NULL;
	}
	both[0] = web;
	both[1] = other;
	assert_int_equal(apply(l, true, both, 2), 0);
	assert_int_equal(place_of(l, web).local_port, relay_local_port(web, 0));
	assert_int_equal(place_of(l, other).local_port, relay_local_port(other, 1));
	assert_int_equal(l->n_refused, 0);
	service_unref(web);
	service_unref(other);
}

static void a_family_without_an_address_has_no_local_ports(void **state)
{
	struct local *l = *state;
	struct service *s;

	sink_close(l->sink);
	open_sink(l, false);
	s = make(l, "web", FAMILY_IPV6, true);
	assert_int_equal(apply(l, true, &s, 1), 0);
	assert_int_equal(place_of(l, s).local_port, 0);
	assert_non_null(place_of(l, s).why_not);
	service_unref(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_service_is_served_at_its_local_port),
		TEST(the_port_is_the_same_after_a_restart_and_in_both_families),
		TEST(the_next_free_port_is_taken_and_kept),
		TEST(two_services_never_have_one_port),
		TEST(a_family_without_an_address_has_no_local_ports),
	};

	return cmocka_run_group_tests_name("relay_local", tests, rig_enter, NULL);
}
