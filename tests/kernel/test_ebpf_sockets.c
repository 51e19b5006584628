/*
 * The programs with real sockets: what a client of a service reaches, and what
 * it sees.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/ebpf_kernel.h"
#include "bpf/ebpf_sockets.h"
#include "bpf/ebpf_table.h"
#include "core/cleanup.h"
#include "tests/kernel/ebpf_stage.h"
#include "tests/short_service.h"

#define POD1 "10.244.0.1:8080"
#define POD2 "10.244.0.2:8080"
#define SIX1 "[fd00:244::1]:8080"

static struct ebpf_stage *stage;
static struct ebpf_kernel *kernel;
static struct ebpf_table *table;
static const struct environment env;

/* Takes new, and gives up old. */
static struct service *held;

static void apply(struct service *old, struct service *new)
{
	struct change change = {old, new};
	struct changeset cs = {.env = &env, .changes = &change, .n = 1};

	assert_int_equal(ebpf_table_apply(table, &cs), 0);
	if (old)
		service_unref(old);
	held = new;
}

static int set_up(void **state)
{
	struct changeset nothing = {.full = true, .env = &env};
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;
	unsigned n_reattached;
	int err = ebpf_kernel_open(&params, &kernel, &why);

	(void)state;
	if (err != 0)
		print_message("%s\n", why);
	assert_int_equal(err, 0);
	table = ebpf_table_new(kernel);
	assert_int_equal(ebpf_table_apply(table, &nothing), 0);
	assert_int_equal(ebpf_kernel_attach(kernel, &n_reattached), 0);
	return 0;
}

static int tear_down(void **state)
{
	unsigned n;

	(void)state;
	if (held)
		service_unref(held);
	held = NULL;
	ebpf_table_free(table);
	ebpf_kernel_close(kernel);
	assert_int_equal(ebpf_kernel_cleanup(stage->bpffs, &n), 0);
	assert_true(n >= 9 + 9);
	return 0;
}

static void a_connected_socket_reaches_an_endpoint_and_sees_the_frontend(void **state)
{
	static const struct {
		int type;
		uint8_t proto;
		const char *frontend, *endpoint;
	} rows[] = {
		{SOCK_STREAM, IPPROTO_TCP, "10.96.0.10:80", POD1},
		{SOCK_DGRAM, IPPROTO_UDP, "10.96.0.10:80", POD1},
		{SOCK_STREAM, IPPROTO_TCP, "[fd00:96::10]:80", SIX1},
		{SOCK_DGRAM, IPPROTO_UDP, "[fd00:96::10]:80", SIX1},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct service *s = short_service("web", rows[i].proto, rows[i].frontend,
						  rows[i].endpoint);
		_cleanup_(closep) int fd = -1;

		apply(NULL, s);
		fd = ebpf_connect(rows[i].type, rows[i].frontend);
		assert_true(fd >= 0);
		assert_string_equal(ebpf_peer(fd), rows[i].frontend);
		assert_string_equal(ebpf_ask_on(fd, NULL), rows[i].endpoint);
		apply(s, NULL);
	}
}

static void an_unconnected_socket_keeps_its_endpoint_while_it_serves(void **state)
{
	struct service *s =
		short_service("dns", IPPROTO_UDP, "10.96.0.53:53", POD1 " " POD2);
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char first[64];

	(void)state;
	apply(NULL, s);
	(void)snprintf(first, sizeof(first), "%s", ebpf_ask_on(fd, "10.96.0.53:53"));
	for (int i = 0; i < 20; i++)
		assert_string_equal(ebpf_ask_on(fd, "10.96.0.53:53"), first);
	apply(s, short_service("dns", IPPROTO_UDP, "10.96.0.53:53",
			       strcmp(first, POD1) == 0 ? POD2 : POD1));
	assert_string_not_equal(ebpf_ask_on(fd, "10.96.0.53:53"), first);
}

static void without_endpoints_tcp_is_refused_immediately(void **state)
{
	(void)state;
	apply(NULL, short_service("none", IPPROTO_TCP, "10.96.0.11:80", ""));
	assert_int_equal(ebpf_connect(SOCK_STREAM, "10.96.0.11:80"), -ECONNREFUSED);
}

static uint64_t n_connections(void)
{
	const struct ebpf_endpoint *endpoints = ebpf_kernel_arrays(kernel).endpoints;
	uint64_t n = 0;

	for (uint32_t i = 0; i < ebpf_kernel_sizes(kernel).endpoints; i++)
		n += endpoints[i].n_connections;
	return n;
}

/* It fails after the programs have run: nothing is up there. */
static void connect_in_a_new_namespace(const char *place)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) != 0 ||
		      ebpf_connect(SOCK_STREAM, place) >= 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_loopback_address_is_served_for_the_node_only(void **state)
{
	struct service *on_loopback =
		short_service("web", IPPROTO_TCP, "127.0.0.1:30080", POD1);
	uint64_t n;

	(void)state;
	apply(NULL, on_loopback);
	assert_string_equal(ebpf_ask(SOCK_STREAM, "127.0.0.1:30080"), POD1);
	n = n_connections();
	connect_in_a_new_namespace("127.0.0.1:30080");
	assert_int_equal(n_connections(), n);
	apply(on_loopback, short_service("web", IPPROTO_TCP, "10.96.0.10:80", POD1));
	n = n_connections();
	connect_in_a_new_namespace("10.96.0.10:80");
	assert_int_equal(n_connections(), n + 1);
}

static void another_daemon_takes_over_with_numbers_kept(void **state)
{
	struct service *s =
		short_service("web", IPPROTO_TCP, "10.96.0.10:80", POD1 " " POD2);
	struct change change = {NULL, s};
	struct changeset all = {.full = true, .env = &env, .changes = &change, .n = 1};
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;
	struct ebpf_endpoint before[2];
	unsigned n_reattached;

	(void)state;
	apply(NULL, s);
	assert_string_not_equal(ebpf_ask(SOCK_STREAM, "10.96.0.10:80"), "");
	memcpy(before, ebpf_kernel_arrays(kernel).endpoints, sizeof(before));
	ebpf_table_free(table);
	ebpf_kernel_close(kernel);
	assert_non_null(strchr(ebpf_ask(SOCK_STREAM, "10.96.0.10:80"), ':'));

	assert_int_equal(ebpf_kernel_open(&params, &kernel, &why), 0);
	table = ebpf_table_new(kernel);
	assert_int_equal(ebpf_table_apply(table, &all), 0);
	assert_int_equal(ebpf_kernel_attach(kernel, &n_reattached), 0);
	for (int i = 0; i < 2; i++) {
		const struct ebpf_endpoint *now =
			&ebpf_kernel_arrays(kernel).endpoints[i];

		assert_int_equal(now->generation, before[i].generation);
		assert_true(now->n_connections >= before[i].n_connections);
	}
	assert_int_equal(ebpf_table_stats(table).n_repaired, 0);
	assert_non_null(strchr(ebpf_ask(SOCK_STREAM, "10.96.0.10:80"), ':'));
}

static void maps_grow_under_their_content(void **state)
{
	struct ebpf_sizes more = ebpf_kernel_sizes(kernel);

	(void)state;
	apply(NULL, short_service("web", IPPROTO_TCP, "10.96.0.10:80", POD1));
	assert_string_equal(ebpf_ask(SOCK_STREAM, "10.96.0.10:80"), POD1);
	more.frontends = more.frontends * 3;
	more.endpoints++;
	assert_int_equal(ebpf_kernel_grow(kernel, &more), 0);
	assert_int_equal(ebpf_kernel_sizes(kernel).frontends, more.frontends / 3 * 4);
	assert_string_equal(ebpf_ask(SOCK_STREAM, "10.96.0.10:80"), POD1);
	assert_int_equal(ebpf_kernel_arrays(kernel).endpoints[0].n_connections, 2);
}

static void a_connected_datagram_socket_hears_that_its_endpoint_is_gone(void **state)
{
	struct service *s = short_service("dns", IPPROTO_UDP, "10.96.0.53:53", POD1);
	_cleanup_(closep) int fd = -1, direct = ebpf_connect(SOCK_DGRAM, POD1);
	_cleanup_(freep) char *why = NULL;
	struct ebpf_sockets *sockets;
	struct ebpf_closed closed;
	int err = ebpf_sockets_new(kernel, &sockets, &why);

	(void)state;
	if (err != 0) {
		print_message("%s\n", why);
		skip();
	}
	apply(NULL, s);
	fd = ebpf_connect(SOCK_DGRAM, "10.96.0.53:53");
	assert_string_equal(ebpf_ask_on(fd, NULL), POD1);
	assert_int_equal(ebpf_sockets_close_stale(sockets, &closed), 0);
	assert_int_equal(closed.n_namespaces, 0);
	apply(s, short_service("dns", IPPROTO_UDP, "10.96.0.53:53", POD2));
	assert_int_equal(ebpf_sockets_close_stale(sockets, &closed), 0);
	assert_int_equal(closed.n_sockets, 1);
	assert_string_equal(ebpf_ask_on(fd, NULL), strerror(EDESTADDRREQ));
	assert_string_equal(ebpf_ask_on(direct, NULL), POD1);
	ebpf_sockets_free(sockets);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_connected_socket_reaches_an_endpoint_and_sees_the_frontend,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_unconnected_socket_keeps_its_endpoint_while_it_serves, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			without_endpoints_tcp_is_refused_immediately, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_loopback_address_is_served_for_the_node_only, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			another_daemon_takes_over_with_numbers_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(maps_grow_under_their_content, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_connected_datagram_socket_hears_that_its_endpoint_is_gone,
			set_up, tear_down),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	ebpf_stage_serve(POD1 " " POD2 " " SIX1);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
