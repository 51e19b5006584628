/*
 * Many UDP clients of the userspace plane: each is an address in 127.0.0.0/8, so that
 * one socket of the test sends for all of them.
 */
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/relay/relay.h"
#include "tests/test.h"
#include "tests/unit/relay_rig_udp.h"

#define N_CLIENTS   10000
#define N_ENDPOINTS 3
#define MAX_BATCH   50

static struct relay_rig *rig;
static int clients;		      /* the socket of all */
static unsigned n_asked[N_ENDPOINTS]; /* by the last ask_all() */

static int open_rig(void **state)
{
	const struct relay_params params = {.n_workers = 2};
	const struct timeval limit = {.tv_sec = RIG_TIMEOUT_MS / 1000};
	int one = 1;

	rig = rig_new_udp(&params, N_ENDPOINTS);
	rig_put(rig, (1u << N_ENDPOINTS) - 1);
	clients = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(clients >= 0);
	assert_int_equal(setsockopt(clients, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)),
			 0);
	assert_int_equal(setsockopt(clients, SOL_SOCKET, SO_RCVTIMEO, &limit,
				    sizeof(limit)),
			 0);
	return 0;
}

static int close_rig(void **state)
{
	(void)close(clients);
	rig_free(rig);
	return 0;
}

static in_addr_t address_of(uint32_t client)
{
	return htonl(0x7f010001u + client);
}

static void send_from(uint32_t client)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(rig->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct in_pktinfo info = {.ipi_spec_dst.s_addr = address_of(client)};
	struct iovec piece = {&client, sizeof(client)};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(info))] = "";
	struct msghdr m = {.msg_name = &to,
			   .msg_namelen = sizeof(to),
			   .msg_iov = &piece,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	assert_int_equal(sendmsg(clients, &m, 0), sizeof(client));
}

/* An answer arrives at the address that asked. Returns the client. */
static uint32_t receive_one(void)
{
	uint32_t client = 0;
	struct sockaddr_in from;
	struct in_pktinfo info = {0};
	struct iovec piece = {&client, sizeof(client)};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(info))];
	struct msghdr m = {.msg_name = &from,
			   .msg_namelen = sizeof(from),
			   .msg_iov = &piece,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};

	assert_int_equal(recvmsg(clients, &m, 0), sizeof(client));
	assert_int_equal(ntohs(from.sin_port), rig->port);
	assert_int_equal(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	memcpy(&info, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(info));
	assert_int_equal(info.ipi_addr.s_addr, address_of(client));
	return client;
}

/* Each client of the range asks once, and gets its answer: so many of them together. */
static void ask_all(uint32_t first, uint32_t n, uint32_t batch)
{
	memset(n_asked, 0, sizeof(n_asked));
	for (uint32_t at = first; at < first + n; at += batch) {
		bool is_answered[MAX_BATCH] = {false};

		for (uint32_t i = 0; i < batch; i++)
			send_from(at + i);
		for (uint32_t i = 0; i < batch; i++) {
			size_t endpoint = rig_receiver(rig, RIG_TIMEOUT_MS);

			assert_true(endpoint < N_ENDPOINTS);
			n_asked[endpoint]++;
			(void)rig_echo(rig, endpoint);
		}
		for (uint32_t i = 0; i < batch; i++)
			is_answered[receive_one() - at] = true;
		for (uint32_t i = 0; i < batch; i++)
			assert_true(is_answered[i]);
	}
}

static void ten_thousand_clients_have_their_own_flows(void **state)
{
	double max = rig_stat(rig, "sluice_userspace_max_flows");

	ask_all(0, N_CLIENTS, MAX_BATCH);
	ask_all(0, N_CLIENTS, MAX_BATCH);
	if (max >= N_CLIENTS) {
		assert_true(rig_stat(rig, "sluice_userspace_flows_total") == N_CLIENTS);
		assert_true(rig_stat(rig, "sluice_userspace_evicted_flows_total") == 0);
	} else {
		assert_true(rig_stat(rig, "sluice_userspace_flows") >= max - 2);
	}
	assert_true(rig_stat(rig, "sluice_userspace_flows") <= max + 2);
	assert_true(rig_stat(rig, "sluice_userspace_dropped_datagrams_total") == 0);
}

/* With room for few flows, each new client replaces an older one. */
static void at_the_limit_new_flows_replace_old_ones(void **state)
{
	struct rlimit before, low;
	double max;

	(void)close_rig(state);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 480; /* less what the daemon keeps */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	(void)open_rig(state);
	max = rig_stat(rig, "sluice_userspace_max_flows");
	assert_true(max > 10 && max < 100);
	ask_all(0, 1000, 10);
	assert_true(rig_stat(rig, "sluice_userspace_flows") <= max + 2);
	assert_true(rig_stat(rig, "sluice_userspace_flows_total") == 1000);
	assert_true(rig_stat(rig, "sluice_userspace_evicted_flows_total") >=
		    1000 - max - 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* A removed endpoint loses its flows, and only those. */
static void changes_under_load_move_the_flows_of_the_removed_endpoint(void **state)
{
	for (unsigned round = 0; round < 20; round++) {
		unsigned removed = round % N_ENDPOINTS, all = (1u << N_ENDPOINTS) - 1;

		ask_all(0, 500, MAX_BATCH);
		assert_true(n_asked[removed] > 0);
		rig_put(rig, all & ~(1u << removed));
		while (rig_stat(rig, "sluice_userspace_flows") != 500 - n_asked[removed])
			(void)poll(NULL, 0, 1);
		ask_all(0, 500, MAX_BATCH);
		assert_int_equal(n_asked[removed], 0);
		rig_put(rig, all);
	}
}

/* Of the flow towards this endpoint, whose socket is one of this process; 0: none. */
static int buffer_of_flow(uint16_t port)
{
	for (int fd = 0; fd < 1024; fd++) {
		struct sockaddr_in to;
		socklen_t to_len = sizeof(to), len = sizeof(int);
		int size;

		if (getpeername(fd, (struct sockaddr *)&to, &to_len) == 0 &&
		    to.sin_family == AF_INET && to.sin_port == htons(port) &&
		    getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len) == 0)
			return size;
	}
	return 0;
}

/* As large as this process may have it. */
static int large_buffer(void)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = 1 << 20;
	socklen_t len = sizeof(size);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == -1)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size,
					    sizeof(size)),
				 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len), 0);
	return size;
}

static void a_flow_with_many_answers_gets_a_large_buffer(void **state)
{
	struct sockaddr_in flow;
	socklen_t len = sizeof(flow);
	unsigned n_rounds = 0;
	char bytes[64];
	size_t e;

	send_from(0);
	e = rig_receiver(rig, RIG_TIMEOUT_MS);
	assert_true(e < N_ENDPOINTS);
	assert_int_equal(recvfrom(rig->listeners[e], bytes, sizeof(bytes), 0,
				  (struct sockaddr *)&flow, &len),
			 sizeof(uint32_t));
	while (buffer_of_flow(rig->ports[e]) < large_buffer()) {
		assert_true(n_rounds++ < 2000);
		for (int i = 0; i < 64; i++)
			assert_int_equal(sendto(rig->listeners[e], "", 1, 0,
						(const struct sockaddr *)&flow, len),
					 1);
		for (int i = 0; i < 64; i++)
			assert_int_equal(recv(clients, bytes, sizeof(bytes), 0), 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ten_thousand_clients_have_their_own_flows),
		TEST(at_the_limit_new_flows_replace_old_ones),
		TEST(a_flow_with_many_answers_gets_a_large_buffer),
		TEST(changes_under_load_move_the_flows_of_the_removed_endpoint),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
