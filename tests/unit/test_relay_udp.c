/*
 * UDP through the userspace plane: datagrams keep their sizes, flows keep their endpoint
 * until it fails, is removed, or the flow is idle.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/sink.h"
#include "proxy/relay/relay.h"
#include "tests/test.h"
#include "tests/unit/relay_rig_case.h"
#include "tests/unit/relay_rig_udp.h"

#define MAX_LEN	    65507
#define N_ENDPOINTS 4
#define ALL	    ((1u << N_ENDPOINTS) - 1)

static int open_rig(void **state)
{
	const struct relay_params params = {.n_workers = 2, .udp_unanswered_sec = 1};

	rig = rig_new_udp(&params, N_ENDPOINTS);
	return 0;
}

static int open_client(void)
{
	int fd = rig_connect(rig);

	assert_true(fd >= 0);
	return fd;
}

static bool has_answer(int client)
{
	struct pollfd p = {.fd = client, .events = POLLIN};
	char text[16];

	return poll(&p, 1, 20) == 1 && recv(client, text, sizeof(text), 0) == 5;
}

/* Like rig_ask(), but a datagram or its answer may be lost while a change is on its way. */
static size_t ask_patiently(int client)
{
	for (int i = 0; i < 500; i++) {
		size_t endpoint;

		if (send(client, "again", 5, 0) == 5) {
			endpoint = rig_receiver(rig, 20);
			if (endpoint < N_ENDPOINTS) {
				(void)rig_echo(rig, endpoint);
				if (has_answer(client))
					return endpoint;
			}
		}
		(void)poll(NULL, 0, 5);
	}
	fail_msg("no endpoint gets datagrams");
	return N_ENDPOINTS;
}

static void await_flows(unsigned n)
{
	for (int i = 0; i < 4000 && rig_stat(rig, "sluice_userspace_flows") != n; i++)
		(void)poll(NULL, 0, 5);
	assert_true(rig_stat(rig, "sluice_userspace_flows") == n);
}

static void a_flow_keeps_its_endpoint_and_its_port(void **state)
{
	int client;
	uint16_t port, first_port;
	size_t first;

	rig_put(rig, ALL);
	client = open_client();
	first = rig_ask(rig, client, &first_port);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(rig_ask(rig, client, &port), first);
		assert_int_equal(port, first_port);
	}
	(void)close(client);
}

static void clients_are_spread_over_all_endpoints(void **state)
{
	unsigned n_of[N_ENDPOINTS] = {0};

	rig_put(rig, ALL);
	for (int i = 0; i < 400; i++) {
		int client = open_client();

		n_of[rig_ask(rig, client, NULL)]++;
		(void)close(client);
	}
	for (int i = 0; i < N_ENDPOINTS; i++)
		assert_in_range(n_of[i], 50, 150);
}

static void assert_size(int fd, size_t len)
{
	static char buf[65536];

	assert_int_equal(recv(fd, buf, sizeof(buf), 0), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal((unsigned char)buf[i], (unsigned char)(len + i));
}

static void fill_bytes(char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)(len + i);
}

static const size_t sizes[] = {0,    1,	   1,	 100,  100,  100,  50,	    100,
			       1452, 1453, 1453, 9000, 9000, 9000, MAX_LEN, 3};

/* Equal sizes in a row are sent on joined. */
static void datagrams_of_all_sizes_arrive_in_their_order(void **state)
{
	static char buf[65536];
	struct sockaddr_in back;
	socklen_t len = sizeof(back);
	int client;

	rig_put(rig, 1);
	client = open_client();
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		fill_bytes(buf, sizes[i]);
		assert_int_equal(send(client, buf, sizes[i], 0), sizes[i]);
		if (i == 0) /* the relay makes its flow: the rest may come in one batch */
			assert_int_equal(recvfrom(rig->listeners[0], buf, sizeof(buf), 0,
						  (struct sockaddr *)&back, &len),
					 0);
	}
	for (size_t i = 1; i < N_ELEMENTS(sizes); i++)
		assert_size(rig->listeners[0], sizes[i]);
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		fill_bytes(buf, sizes[i]);
		assert_int_equal(sendto(rig->listeners[0], buf, sizes[i], 0,
					(struct sockaddr *)&back, len),
				 sizes[i]);
	}
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++)
		assert_size(client, sizes[i]);
	(void)close(client);
}

/* Joined by the sender: parts of part_len bytes, and a shorter one. */
static void send_joined(int fd, const struct sockaddr_in *to, uint16_t part_len, size_t n)
{
	static char buf[65536];
	size_t len = part_len * n + part_len / 2;
	struct iovec piece = {buf, len};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(part_len))] = "";
	struct msghdr m = {.msg_name = (void *)(uintptr_t)to,
			   .msg_namelen = to ? sizeof(*to) : 0,
			   .msg_iov = &piece,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	for (size_t i = 0; i < n; i++)
		fill_bytes(buf + i * part_len, part_len);
	fill_bytes(buf + n * part_len, part_len / 2);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(part_len));
	memcpy(CMSG_DATA(c), &part_len, sizeof(part_len));
	assert_int_equal(sendmsg(fd, &m, 0), len);
}

static void joined_datagrams_keep_the_size_of_their_parts(void **state)
{
	static const struct {
		uint16_t part_len;
		size_t n;
	} cases[] = {{1200, 40}, {100, 60}, {1472, 43}, {9000, 6}, {2, 10}};
	struct sockaddr_in back;
	socklen_t len = sizeof(back);
	char byte;
	int client;

	rig_put(rig, 1);
	client = open_client();
	rig_send(client, "x");
	assert_int_equal(recvfrom(rig->listeners[0], &byte, 1, 0,
				  (struct sockaddr *)&back, &len),
			 1);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		send_joined(client, NULL, cases[i].part_len, cases[i].n);
		for (size_t k = 0; k < cases[i].n; k++)
			assert_size(rig->listeners[0], cases[i].part_len);
		assert_size(rig->listeners[0], cases[i].part_len / 2);
		send_joined(rig->listeners[0], &back, cases[i].part_len, cases[i].n);
		for (size_t k = 0; k < cases[i].n; k++)
			assert_size(client, cases[i].part_len);
		assert_size(client, cases[i].part_len / 2);
	}
	(void)close(client);
}

static int set_mtu(int mtu)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = {.ifr_name = "lo", .ifr_mtu = mtu};

	return ioctl(fd, SIOCSIFMTU, &lo);
}

/* Joined ones of equal size have parts that do not fit in a packet: they are sent alone. */
static void datagrams_larger_than_a_packet_of_the_path_arrive(void **state)
{
	static char buf[1400];
	struct iovec piece = {buf, sizeof(buf)};
	struct mmsghdr messages[32] = {0};
	int client;

	if (set_mtu(1280) == -1)
		skip(); /* the loopback interface is not the test's own */
	rig_put(rig, 1);
	client = open_client();
	fill_bytes(buf, sizeof(buf));
	for (size_t i = 0; i < N_ELEMENTS(messages); i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &piece, .msg_iovlen = 1};
	for (int round = 0; round < 50; round++) {
		assert_int_equal(sendmmsg(client, messages, N_ELEMENTS(messages), 0),
				 N_ELEMENTS(messages));
		for (size_t i = 0; i < N_ELEMENTS(messages); i++)
			assert_size(rig->listeners[0], sizeof(buf));
	}
	assert_true(rig_stat(rig, "sluice_userspace_dropped_datagrams_total") == 0);
	(void)close(client);
	assert_int_equal(set_mtu(65536), 0);
}

/* An ICMP error ends the flow; the next datagram has another endpoint. */
static void a_closed_port_of_an_endpoint_moves_its_flows(void **state)
{
	int client;
	size_t first, second;

	rig_put(rig, ALL);
	client = open_client();
	first = rig_ask(rig, client, NULL);
	rig_close_endpoint(rig, first);
	second = ask_patiently(client);
	assert_int_not_equal(first, second);
	assert_true(rig_stat(rig, "sluice_userspace_failed_attempts_total") >= 1);
	/* it is set aside: new clients do not lose a datagram to it */
	for (int i = 0; i < 20; i++) {
		int other = open_client();

		for (int k = 0; k < 8 && ask_patiently(other) == first; k++)
			fail_msg("the closed endpoint was used");
		(void)close(other);
	}
	(void)close(client);
}

static void the_only_endpoint_is_tried_again_after_an_error(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client;

	rig_put(rig, 1);
	client = open_client();
	(void)rig_ask(rig, client, NULL);
	rig_close_endpoint(rig, 0);
	rig_send(client, "lost");
	await_flows(0);
	sa.sin_port = htons(rig->ports[0]);
	rig->listeners[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig->listeners[0], (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(ask_patiently(client), 0);
	(void)close(client);
}

static void flows_of_a_removed_endpoint_end_immediately(void **state)
{
	int client;
	size_t first;

	rig_put(rig, 3);
	client = open_client();
	first = rig_ask(rig, client, NULL);
	await_flows(1);
	rig_put(rig, ALL & ~(1u << first));
	await_flows(0);
	assert_int_not_equal(rig_ask(rig, client, NULL), first);
	/* a change that keeps the endpoint keeps the flow */
	rig_put(rig, ALL);
	await_flows(1);
	(void)close(client);
}

static void without_endpoints_or_service_the_port_is_closed(void **state)
{
	char byte;
	int client;

	for (int is_removed = 0; is_removed < 2; is_removed++) {
		rig_put(rig, 1);
		client = open_client();
		(void)rig_ask(rig, client, NULL);
		if (is_removed)
			rig_remove(rig);
		else
			rig_put(rig, 0);
		await_flows(0);
		for (int i = 0; i < 500; i++) { /* until the worker has closed it */
			(void)send(client, "x", 1, 0);
			if (recv(client, &byte, 1, MSG_DONTWAIT) == -1 &&
			    errno == ECONNREFUSED)
				break;
			assert_true(i < 499);
			(void)poll(NULL, 0, 5);
		}
		(void)close(client);
	}
}

static void idle_flows_end(void **state)
{
	char byte;
	int client;

	rig_put(rig, 1);
	client = open_client();
	rig_send(client, "x");
	assert_int_equal(recv(rig->listeners[0], &byte, 1, 0), 1);
	await_flows(1);
	await_flows(0);
	(void)rig_ask(rig, client, NULL);
	await_flows(1);
	(void)close(client);
}

static void affinity_holds_for_all_flows_of_a_client(void **state)
{
	size_t first = N_ENDPOINTS;

	rig->affinity_sec = 60;
	rig_put(rig, ALL);
	for (int i = 0; i < 30; i++) {
		int client = open_client();
		size_t endpoint = rig_ask(rig, client, NULL);

		first = i ? first : endpoint;
		assert_int_equal(endpoint, first);
		(void)close(client);
	}
}

/* While endpoints come and go each question is answered, at the second try at the latest. */
static void changes_of_endpoints_lose_no_client(void **state)
{
	int clients[32];

	rig_put(rig, ALL);
	for (size_t i = 0; i < N_ELEMENTS(clients); i++)
		clients[i] = open_client();
	for (unsigned round = 0; round < 60; round++) {
		rig_put(rig, 1u << round % 4 | 1u << (round + 1) % 4);
		for (size_t i = 0; i < N_ELEMENTS(clients); i++)
			(void)ask_patiently(clients[i]);
	}
	for (size_t i = 0; i < N_ELEMENTS(clients); i++)
		(void)close(clients[i]);
}

static void assert_refused_beside(in_addr_t address)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(rig->port),
				 .sin_addr.s_addr = htonl(address)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	rig_put(rig, 1);
	assert_non_null(strstr(rig->refusal, "another process listens on this port"));
	(void)close(fd);
}

/* Also beside one that would share it: datagrams would go to one of both. */
static void a_port_that_another_process_has_is_refused(void **state)
{
	int client;

	assert_refused_beside(INADDR_ANY);
	assert_refused_beside(INADDR_LOOPBACK);
	rig_put(rig, 1);
	assert_string_equal(rig->refusal, "");
	client = open_client();
	(void)rig_ask(rig, client, NULL);
	(void)close(client);
}

struct counts {
	uint64_t of_frontend, of_endpoints;
};

static void add_count(void *data, const struct sink_count *count)
{
	struct counts *sum = data;

	if (count->is_endpoint)
		sum->of_endpoints += count->n;
	else
		sum->of_frontend += count->n;
}

static void each_flow_counts_as_a_connection(void **state)
{
	struct change now = {.new = NULL};
	const struct changeset cs = {.full = true, .changes = &now, .n = 1};
	struct counts sum = {0};

	rig_put(rig, ALL);
	for (int i = 0; i < 5; i++) {
		int client = open_client();

		(void)rig_ask(rig, client, NULL);
		(void)rig_ask(rig, client, NULL);
		(void)close(client);
	}
	now.new = rig->service;
	assert_int_equal(rig->sink->ops->view->counts(rig->sink, &cs, true, add_count,
						      &sum),
			 0);
	assert_int_equal(sum.of_frontend, 5);
	assert_int_equal(sum.of_endpoints, 5);
	assert_int_equal(rig_counts(rig).n_current, 5);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_counts(rig).n_bytes[i], 10 * strlen("question"));
		assert_int_equal(rig_counts(rig).n_endpoint_bytes[i],
				 10 * strlen("question"));
	}
	/* datagrams are counted when their flow ends */
	rig_remove(rig);
	await_flows(0);
	assert_true(rig_stat(rig, "sluice_userspace_client_datagrams_total") == 10);
	assert_true(rig_stat(rig, "sluice_userspace_endpoint_datagrams_total") == 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flow_keeps_its_endpoint_and_its_port),
		TEST(clients_are_spread_over_all_endpoints),
		TEST(datagrams_of_all_sizes_arrive_in_their_order),
		TEST(joined_datagrams_keep_the_size_of_their_parts),
		TEST(datagrams_larger_than_a_packet_of_the_path_arrive),
		TEST(a_closed_port_of_an_endpoint_moves_its_flows),
		TEST(the_only_endpoint_is_tried_again_after_an_error),
		TEST(flows_of_a_removed_endpoint_end_immediately),
		TEST(without_endpoints_or_service_the_port_is_closed),
		TEST(idle_flows_end),
		TEST(affinity_holds_for_all_flows_of_a_client),
		TEST(changes_of_endpoints_lose_no_client),
		TEST(a_port_that_another_process_has_is_refused),
		TEST(each_flow_counts_as_a_connection),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
