/*
 * Connections are counted once each, for their frontend and for the endpoint
 * that they really went to, picked or remembered.
 */
#include "tests/test.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/nft_sample.h"

#define N_CONNECTIONS 12

static const struct sample samples[] = {
	{.name = "web",
	 .frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "10.2.0.2:8080 10.2.0.3:8080"},
	{.name = "web6",
	 .frontends = {{"[fd00:96::1]:80", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "[fd01::2]:8080 [fd01::3]:8080"},
	{.name = "sticky",
	 .frontends = {{"10.96.0.2:80", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "10.2.0.2:8080 10.2.0.3:8081",
	 .affinity_sec = 60},
	{.name = "sticky6",
	 .frontends = {{"[fd00:96::2]:80", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "[fd01::2]:8080 [fd01::3]:8081",
	 .affinity_sec = 60},
	{.name = "local",
	 .frontends = {{"192.0.2.1:80", SAMPLE_EXTERNAL_LOCAL, false}},
	 .endpoints = "10.2.0.2:8080L 10.2.0.3:8080"},
	{.name = "dns",
	 .proto = IPPROTO_UDP,
	 .frontends = {{"10.96.0.3:53", SAMPLE_CLUSTER_IP, false}},
	 .endpoints = "10.2.0.2:53"},
};

static int socket_at(const char *at, int type, struct sockaddr_storage *ret,
		     socklen_t *len)
{
	struct addr addr;
	uint16_t port;
	int fd;

	assert_int_equal(addr_port_parse(at, &addr, &port), 0);
	*len = addr_to_sockaddr(&addr, port, ret);
	fd = socket(ret->ss_family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	return fd;
}

static int serve(const char *at, int type)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd = socket_at(at, type, &sa, &len);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static int call(const char *at, int type)
{
	const struct timeval timeout = {.tv_sec = 5};
	struct sockaddr_storage sa;
	socklen_t len;
	int fd = socket_at(at, type, &sa, &len);

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&sa, len) == -1)
		fail_msg("%s: %s", at, strerror(errno));
	/* several packets before an answer are still one connection */
	for (int i = 0; i < 3 && type == SOCK_DGRAM; i++)
		assert_int_equal(send(fd, "x", 1, 0), 1);
	return fd;
}

static struct sample_world *connected(void **state)
{
	struct sample_world *w = *state;

	shell_run("ip address add 10.2.0.2/32 dev lo; ip address add 10.2.0.3/32 dev lo; "
		  "ip address add fd01::2/128 dev lo nodad; "
		  "ip address add fd01::3/128 dev lo nodad; "
		  "ip link add out0 type veth peer name out1; "
		  "ip address add 10.3.0.1/24 dev out0; "
		  "ip address add fd03::1/64 dev out0 nodad; ip link set out0 up; "
		  "ip link set out1 up; "
		  "ip route add default dev out0; ip -6 route add default dev out0");
	sample_put(w, samples, N_ELEMENTS(samples));
	assert_int_equal(sample_full(w), 0);
	return w;
}

/* The counts of a frontend and of each of its endpoints. */
struct tally {
	struct addr frontend;
	uint64_t n_frontend, n_endpoints, n_most; /* of one endpoint */
	unsigned n_lines;
};

static void take_count(void *data, const struct sink_count *count)
{
	struct tally *t = data;

	if (!addr_equal(&count->frontend, &t->frontend))
		return;
	t->n_lines++;
	if (!count->is_endpoint)
		t->n_frontend += count->n;
	else
		t->n_endpoints += count->n;
	if (count->is_endpoint && t->n_most < count->n)
		t->n_most = count->n;
}

static struct tally tally_of(struct sample_world *w, const char *at)
{
	_cleanup_(freep) struct change *changes = xcalloc(w->n + 1, sizeof(*changes));
	const struct changeset all = {.env = &w->env, .changes = changes, .n = w->n};
	struct tally t = {0}, without = {0};
	uint16_t port;

	for (size_t i = 0; i < w->n; i++)
		changes[i].new = w->services[i];
	assert_int_equal(addr_port_parse(at, &t.frontend, &port), 0);
	without.frontend = t.frontend;
	assert_int_equal(w->sink->ops->view->counts(w->sink, &all, true, take_count, &t),
			 0);
	assert_int_equal(w->sink->ops->view->counts(w->sink, &all, false, take_count,
						    &without),
			 0);
	assert_int_equal(without.n_frontend, t.n_frontend);
	assert_int_equal(without.n_endpoints, 0);
	return t;
}

/* How many packets a client of TCP sent again. */
static uint32_t sent_again(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len); /* stays 0 with UDP */
	return info.tcpi_total_retrans;
}

/*
 * The clients are open at the same time, so each has a port of its own. A SYN that this
 * busy host dropped before conntrack had it is sent again, and is a new one.
 */
static void expect_counted(struct sample_world *w, const char *at, int type)
{
	uint32_t n_again = 0;
	int clients[N_CONNECTIONS];
	struct tally t;

	for (int i = 0; i < N_CONNECTIONS; i++)
		clients[i] = call(at, type);
	for (int i = 0; i < N_CONNECTIONS; i++) {
		n_again += sent_again(clients[i]);
		(void)close(clients[i]);
	}
	t = tally_of(w, at);
	assert_in_range(t.n_frontend, N_CONNECTIONS, N_CONNECTIONS + n_again);
	assert_int_equal(t.n_endpoints, t.n_frontend);
}

static void a_connection_is_counted_once(void **state)
{
	struct sample_world *w = connected(state);
	int servers[] = {
		serve("10.2.0.2:8080", SOCK_STREAM),
		serve("10.2.0.3:8080", SOCK_STREAM),
		serve("[fd01::2]:8080", SOCK_STREAM),
		serve("[fd01::3]:8080", SOCK_STREAM),
		serve("10.2.0.2:53", SOCK_DGRAM),
	};

	expect_counted(w, "10.96.0.1:80", SOCK_STREAM);
	expect_counted(w, "[fd00:96::1]:80", SOCK_STREAM);
	expect_counted(w, "192.0.2.1:80", SOCK_STREAM);
	expect_counted(w, "10.96.0.3:53", SOCK_DGRAM);
	for (size_t i = 0; i < N_ELEMENTS(servers); i++)
		(void)close(servers[i]);
}

static void connections_to_bound_endpoints_are_counted(void **state)
{
	struct sample_world *w = connected(state);
	static const char *const at[] = {"10.96.0.2:80", "[fd00:96::2]:80"};
	int servers[] = {
		serve("10.2.0.2:8080", SOCK_STREAM),
		serve("10.2.0.3:8081", SOCK_STREAM),
		serve("[fd01::2]:8080", SOCK_STREAM),
		serve("[fd01::3]:8081", SOCK_STREAM),
	};

	for (size_t i = 0; i < N_ELEMENTS(at); i++) {
		struct tally t;

		expect_counted(w, at[i], SOCK_STREAM);
		/* all went to the one that the first was sent to */
		t = tally_of(w, at[i]);
		assert_int_equal(t.n_most, t.n_frontend);
	}
	for (size_t i = 0; i < N_ELEMENTS(servers); i++)
		(void)close(servers[i]);
}

static void without_tables_all_counts_are_zero(void **state)
{
	struct sample_world *w = connected(state);

	assert_int_equal(nft_cleanup(), 0);
	assert_int_equal(tally_of(w, "10.96.0.1:80").n_lines, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connection_is_counted_once),
		TEST(connections_to_bound_endpoints_are_counted),
		TEST(without_tables_all_counts_are_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
