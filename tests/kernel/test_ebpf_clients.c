/*
 * Clients of unusual kinds: many that share one affinity, other protocols over
 * the same hooks, sockets that are used in more than one way.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/ebpf_kernel.h"
#include "bpf/ebpf_table.h"
#include "core/cleanup.h"
#include "tests/kernel/ebpf_stage.h"
#include "tests/short_service.h"

#define VIP	  "10.96.0.10:80"
#define A1	  "10.244.0.1:8080"
#define A2	  "10.244.0.2:8080"
#define A3	  "10.244.0.3:8080"
#define N_CLIENTS 3

/* Of each client: a comparison without sign lost the binding several times in these. */
#define N_CONNECTIONS 200000

static const struct sockaddr_in vip = {.sin_family = AF_INET,
				       .sin_port = __builtin_bswap16(80),
				       .sin_addr = {__builtin_bswap32(0x0a60000a)}};

static struct ebpf_stage *stage;
static struct ebpf_kernel *kernel;
static struct ebpf_table *table;
static const struct environment env;

static void apply(struct service *a, struct service *b)
{
	struct change changes[] = {{NULL, a}, {NULL, b}};
	struct changeset cs = {.full = true,
			       .env = &env,
			       .changes = changes,
			       .n = b ? 2 : 1};
	unsigned n;

	assert_int_equal(ebpf_table_apply(table, &cs), 0);
	assert_int_equal(ebpf_kernel_attach(kernel, &n), 0);
	service_unref(a);
	if (b)
		service_unref(b);
}

static struct service *udp_service(const char *endpoints, uint32_t affinity_sec)
{
	struct service *s = short_service("udp", IPPROTO_UDP, VIP, endpoints);

	s->affinity_sec = affinity_sec;
	return s;
}

static int set_up(void **state)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;

	(void)state;
	if (ebpf_kernel_open(&params, &kernel, &why) != 0)
		fail_msg("%s", why);
	table = ebpf_table_new(kernel);
	return 0;
}

static int tear_down(void **state)
{
	unsigned n;

	(void)state;
	ebpf_table_free(table);
	ebpf_kernel_close(kernel);
	assert_int_equal(ebpf_kernel_cleanup(stage->bpffs, &n), 0);
	return 0;
}

/* Connections that the programs gave away; in *ret_used, over how many endpoints. */
static uint64_t given(unsigned *ret_used)
{
	const struct ebpf_endpoint *endpoints = ebpf_kernel_arrays(kernel).endpoints;
	uint64_t n = 0;

	*ret_used = 0;
	for (uint32_t i = 0; i < ebpf_kernel_sizes(kernel).endpoints; i++) {
		n += endpoints[i].n_connections;
		*ret_used += endpoints[i].n_connections > 0;
	}
	return n;
}

/* Over and over on one socket: nothing but the hook costs much. */
static void connect_often(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (int i = 0; i < N_CONNECTIONS; i++)
		(void)connect(fd, (const struct sockaddr *)&vip, sizeof(vip));
	_exit(0);
}

static void clients_that_connect_concurrently_share_one_affinity(void **state)
{
	uint64_t n;
	unsigned n_used;
	int fd;

	(void)state;
	apply(udp_service(A1 " " A2 " " A3, 3600), NULL);
	fd = ebpf_connect(SOCK_DGRAM, VIP);
	assert_true(fd >= 0);
	(void)close(fd);
	for (int i = 0; i < N_CLIENTS; i++)
		if (fork() == 0)
			connect_often();
	for (int i = 0; i < N_CLIENTS; i++)
		(void)wait(NULL);
	n = given(&n_used);
	print_message("%lu connections over %u endpoint(s)\n", (unsigned long)n, n_used);
	assert_int_equal(n, N_CLIENTS * N_CONNECTIONS + 1);
	assert_int_equal(n_used, 1);
}

static void only_udp_itself_is_balanced_by_sendto(void **state)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
	unsigned n_used;

	(void)state;
	if (fd < 0) /* Linux has removed UDP-Lite */
		skip();
	apply(udp_service(A1, 0), NULL);
	(void)sendto(fd, "x", 1, 0, (const struct sockaddr *)&vip, sizeof(vip));
	assert_int_equal(given(&n_used), 0);
}

/* To nftables it is translated once. With the endpoint as destination it would be twice. */
static void an_endpoint_that_is_a_frontend_is_left_to_nftables(void **state)
{
	unsigned n_used;
	int fd;

	(void)state;
	apply(udp_service(A1, 0), short_service("other", IPPROTO_UDP, A1, A2));
	fd = ebpf_connect(SOCK_DGRAM, VIP);
	(void)close(fd);
	assert_int_equal(given(&n_used), 0);
	assert_string_equal(ebpf_ask(SOCK_DGRAM, A1), A2);
	assert_int_equal(given(&n_used), 1);
}

/* A pod in the host's network listens on the number of a node port. */
static void an_endpoint_that_is_a_node_port_is_left_to_nftables(void **state)
{
	struct addr nodes[2];
	const struct environment at_nodes = {.node_addresses = {nodes},
					     .n_node_addresses = {2}};
	struct service *node_port =
		short_service("other", IPPROTO_UDP, "0.0.0.0:8080", A3);
	struct service *here = short_service("udp", IPPROTO_UDP, VIP, A1);
	struct change changes[] = {{NULL, here}, {NULL, node_port}};
	struct changeset cs = {.full = true,
			       .env = &at_nodes,
			       .changes = changes,
			       .n = 2};
	unsigned n;

	(void)state;
	assert_int_equal(addr_parse("10.244.0.1", &nodes[0]), 0);
	assert_int_equal(addr_parse("10.244.0.2", &nodes[1]), 0);
	assert_int_equal(ebpf_table_apply(table, &cs), 0);
	assert_int_equal(ebpf_kernel_attach(kernel, &n), 0);
	service_unref(here);
	service_unref(node_port);
	(void)close(ebpf_connect(SOCK_DGRAM, VIP));
	assert_int_equal(given(&n), 0);
	assert_string_equal(ebpf_ask(SOCK_DGRAM, A2), A3);
}

static void one_socket_knows_an_endpoint_by_one_name(void **state)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM, 0);
	unsigned n_used;

	(void)state;
	apply(udp_service(A1, 0),
	      short_service("other", IPPROTO_UDP, "10.96.0.20:80", A1));
	assert_string_equal(ebpf_ask_on(fd, VIP), A1);
	(void)ebpf_ask_on(fd, "10.96.0.20:80"); /* nftables would, and is not loaded */
	assert_int_equal(given(&n_used), 1);
	assert_string_equal(ebpf_ask_on(fd, VIP), A1);
	assert_int_equal(given(&n_used), 1);
	assert_string_equal(ebpf_ask(SOCK_DGRAM, "10.96.0.20:80"), A1);
	assert_int_equal(given(&n_used), 2);
}

/*
 * It was connected before the programs were attached, and nftables has its flow. The
 * kernel calls sendmsg for each send() on an IPv6 socket with an IPv4-mapped peer.
 */
static void a_connected_socket_keeps_its_peer(void **state)
{
	_cleanup_(closep) int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	unsigned n_used;

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:10.244.0.3", &here.sin6_addr), 1);
	assert_int_equal(connect(fd, (const struct sockaddr *)&here, sizeof(here)), 0);
	apply(short_service("udp", IPPROTO_UDP, "10.244.0.3:80", A1), NULL);
	(void)send(fd, "x", 1, 0);
	assert_int_equal(given(&n_used), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			clients_that_connect_concurrently_share_one_affinity, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(only_udp_itself_is_balanced_by_sendto,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_endpoint_that_is_a_frontend_is_left_to_nftables, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			an_endpoint_that_is_a_node_port_is_left_to_nftables, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(one_socket_knows_an_endpoint_by_one_name,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_connected_socket_keeps_its_peer, set_up,
						tear_down),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	ebpf_stage_serve(A1 " " A2 " " A3);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
