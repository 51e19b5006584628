/*
 * The ways through the hooks: each way to open a socket reaches the
 * endpoint, and the socket shows the service. Then the ways that a prototype of
 * the programs got wrong.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/kernel/ebpf_plane.h"
#include "tests/kernel/io_uring.h"
#include "tests/short_service.h"

#define FOUR   "10.96.0.10:80"
#define FOUR_B "10.96.0.11:80"
#define FREE   "10.96.0.12:80"
#define SIX    "[fd00:96::10]:80"
#define POD1   "10.244.0.1:8080"
#define POD2   "10.244.0.2:8080"
#define SIX1   "[fd00:244::1]:8080"
/* listeners of this process, which only accept */
#define POD1_TCP  "10.244.0.1:9090"
#define SIX1_TCP  "[fd00:244::1]:9090"
#define CLOSED	  "10.244.0.1:9"
#define MAX_INSNS 10000 /* the kernel's limit is a million */

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum way {
	WAY_CONNECT,
	WAY_NONBLOCKING,
	WAY_SENDTO,
	WAY_FASTOPEN,	      /* sendto() with MSG_FASTOPEN */
	WAY_FASTOPEN_CONNECT, /* connect() with TCP_FASTOPEN_CONNECT */
	WAY_IO_URING,
	WAY_IO_URING_ASYNC,
};

static const struct row {
	const char *name;
	int type, proto;
	enum way way;
} rows[] = {
	{"TCP", SOCK_STREAM, 0, WAY_CONNECT},
	{"TCP, not blocking", SOCK_STREAM, 0, WAY_NONBLOCKING},
	{"TCP, MSG_FASTOPEN", SOCK_STREAM, 0, WAY_FASTOPEN},
	{"TCP, TCP_FASTOPEN_CONNECT", SOCK_STREAM, 0, WAY_FASTOPEN_CONNECT},
	{"TCP, io_uring", SOCK_STREAM, 0, WAY_IO_URING},
	{"TCP, io_uring, async", SOCK_STREAM, 0, WAY_IO_URING_ASYNC},
	{"MPTCP", SOCK_STREAM, IPPROTO_MPTCP, WAY_CONNECT},
	{"UDP", SOCK_DGRAM, 0, WAY_CONNECT},
	{"UDP, not connected", SOCK_DGRAM, 0, WAY_SENDTO},
	{"UDP, io_uring", SOCK_DGRAM, 0, WAY_IO_URING},
};

static const struct form {
	const char *name, *frontend, *udp, *tcp;
	bool is_six, is_mapped;
} forms[] = {
	{"IPv4", FOUR, POD1, POD1_TCP, false, false},
	{"IPv6", SIX, SIX1, SIX1_TCP, true, false},
	{"IPv4-mapped", FOUR, POD1, POD1_TCP, false, true},
};

static struct ebpf_stage *stage;
static struct ebpf_plane plane;
static int listeners[2]; /* at the addresses of POD1 and SIX1 */

static const char *format_sockaddr(const struct sockaddr_storage *sa)
{
	static char text[ADDR_PORT_TEXT_LEN];
	struct addr addr;
	uint16_t port;

	assert_int_equal(addr_from_sockaddr((const struct sockaddr *)sa, &addr, &port),
			 0);
	return addr_port_format(&addr, port, text);
}

/* 0, or -errno: connects, or sends "?", or both. */
static int start(int fd, enum way way, const struct sockaddr *sa, socklen_t len)
{
	struct pollfd p = {fd, POLLOUT, 0};
	int on = 1, err = 0;
	socklen_t err_len = sizeof(err);

	switch (way) {
	case WAY_FASTOPEN_CONNECT:
		if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) !=
		    0)
			return -errno;
		return connect(fd, sa, len) == 0 ? 0 : -errno;
	case WAY_CONNECT:
		return connect(fd, sa, len) == 0 ? 0 : -errno;
	case WAY_NONBLOCKING:
		if (connect(fd, sa, len) != 0 && errno != EINPROGRESS)
			return -errno;
		(void)poll(&p, 1, 2000);
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len);
		return -err;
	case WAY_SENDTO:
		return sendto(fd, "?", 1, 0, sa, len) == 1 ? 0 : -errno;
	case WAY_FASTOPEN:
		return sendto(fd, "?", 1, MSG_FASTOPEN, sa, len) == 1 ? 0 : -errno;
	case WAY_IO_URING:
	case WAY_IO_URING_ASYNC:
		return io_uring_connect(fd, sa, len, way == WAY_IO_URING_ASYNC);
	}
	return -EINVAL;
}

static int open_socket(const struct row *row, const struct form *form)
{
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(form->frontend, form->is_mapped, &sa);
	int flags = SOCK_CLOEXEC | (row->way == WAY_NONBLOCKING ? SOCK_NONBLOCK : 0);
	int fd = socket(sa.ss_family, row->type | flags, row->proto), err;

	if (fd < 0)
		return -errno;
	err = start(fd, row->way, (const struct sockaddr *)&sa, len);
	if (err == 0)
		return fd;
	(void)close(fd);
	return err;
}

/* "ENDPOINT as PEER": where the connection arrived, and the peer that its socket shows. */
static void accept_one(int fd, int listener, char *ret, size_t len)
{
	struct pollfd p = {listener, POLLIN, 0};
	struct sockaddr_storage own = {0};
	socklen_t own_len = sizeof(own);
	_cleanup_(closep) int peer = -1;

	(void)send(fd, "?", 1, MSG_NOSIGNAL); /* with TCP_FASTOPEN_CONNECT the SYN */
	if (poll(&p, 1, 3000) == 1)
		peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (peer < 0 || getsockname(peer, (struct sockaddr *)&own, &own_len) != 0)
		(void)snprintf(ret, len, "no connection");
	else
		(void)snprintf(ret, len, "%s as %s", format_sockaddr(&own),
			       ebpf_peer(fd));
}

/* "ENDPOINT as SENDER": who answered, and the sender that recvfrom() shows. */
static void receive_one(int fd, enum way way, char *ret, size_t len)
{
	struct sockaddr_storage from = {0};
	socklen_t from_len = sizeof(from);
	struct pollfd p = {fd, POLLIN, 0};
	char buf[64];
	ssize_t n;

	if (way != WAY_SENDTO) /* that one has sent it */
		(void)send(fd, "?", 1, MSG_NOSIGNAL);
	(void)poll(&p, 1, 3000);
	n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from,
		     &from_len);
	if (n < 0)
		(void)snprintf(ret, len, "%s", strerror(errno));
	else
		(void)snprintf(ret, len, "%.*s as %s", (int)n, buf,
			       format_sockaddr(&from));
}

static bool is_unsupported(int err)
{
	return err == -EPROTONOSUPPORT || err == -ENOPROTOOPT || err == -ENOSYS ||
	       err == -EOPNOTSUPP;
}

static void put_all(void)
{
	ebpf_plane_put(&plane, short_service("four", IPPROTO_UDP, FOUR, POD1));
	ebpf_plane_put(&plane, short_service("six", IPPROTO_UDP, SIX, SIX1));
	ebpf_plane_put(&plane, short_service("b", IPPROTO_UDP, FOUR_B, POD2));
	ebpf_plane_put(&plane, short_service("four", IPPROTO_TCP, FOUR, POD1_TCP));
	ebpf_plane_put(&plane, short_service("six", IPPROTO_TCP, SIX, SIX1_TCP));
}

static int set_up(void **state)
{
	plane = ebpf_plane_open(stage);
	put_all();
	return 0;
}

static int tear_down(void **state)
{
	ebpf_plane_close(&plane);
	return 0;
}

/* The storage of an MPTCP connection is that of its subflow: it shows the endpoint. */
static void every_way_leads_to_the_endpoint_and_shows_the_service(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(rows) * N_ELEMENTS(forms); i++) {
		const struct row *row = &rows[i / N_ELEMENTS(forms)];
		const struct form *form = &forms[i % N_ELEMENTS(forms)];
		_cleanup_(closep) int fd = open_socket(row, form);
		char got[160], expected[160];

		if (is_unsupported(fd)) {
			print_message("%s: not on this kernel: %s\n", row->name,
				      strerror(-fd));
			continue;
		}
		if (fd < 0)
			fail_msg("%s, %s: %s", row->name, form->name, strerror(-fd));
		if (row->type == SOCK_STREAM)
			accept_one(fd, listeners[form->is_six], got, sizeof(got));
		else
			receive_one(fd, row->way, got, sizeof(got));
		(void)snprintf(expected, sizeof(expected), "%s as %s",
			       row->type == SOCK_STREAM ? form->tcp : form->udp,
			       row->proto == IPPROTO_MPTCP ? form->tcp : form->frontend);
		if (strcmp(got, expected) != 0)
			fail_msg("%s, %s: %s, not %s", row->name, form->name, got,
				 expected);
	}
}

static void every_way_of_tcp_is_refused_without_endpoints(void **state)
{
	ebpf_plane_put(&plane, short_service("four", IPPROTO_TCP, FOUR, ""));
	ebpf_plane_put(&plane, short_service("six", IPPROTO_TCP, SIX, ""));
	for (size_t i = 0; i < N_ELEMENTS(rows) * N_ELEMENTS(forms); i++) {
		const struct row *row = &rows[i / N_ELEMENTS(forms)];
		int fd = open_socket(row, &forms[i % N_ELEMENTS(forms)]);

		if (fd >= 0)
			(void)close(fd);
		if (row->type == SOCK_STREAM && !is_unsupported(fd) &&
		    fd != -ECONNREFUSED)
			fail_msg("%s: %s", row->name, fd < 0 ? strerror(-fd) : "open");
	}
}

static void two_services_asked_from_one_socket_answer_by_their_names(void **state)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	static const char *const places[] = {FOUR, FOUR_B};
	unsigned seen = 0;

	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		struct sockaddr_storage sa;
		socklen_t len = ebpf_sockaddr(places[i], false, &sa);

		assert_int_equal(sendto(fd, "?", 1, 0, (struct sockaddr *)&sa, len), 1);
	}
	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		struct sockaddr_storage from;
		struct pollfd p = {fd, POLLIN, 0};
		socklen_t len = sizeof(from);
		bool is_b;
		char buf[64];
		ssize_t n;

		assert_int_equal(poll(&p, 1, 3000), 1);
		n = recvfrom(fd, buf, sizeof(buf) - 1, 0, (struct sockaddr *)&from, &len);
		assert_true(n > 0);
		buf[n] = '\0';
		is_b = strcmp(buf, POD2) == 0;
		assert_string_equal(format_sockaddr(&from), is_b ? FOUR_B : FOUR);
		seen |= is_b ? 2 : 1;
	}
	assert_int_equal(seen, 3);
}

/* Its endpoint still serves, but not at this address: what the socket remembers is over. */
static void the_next_datagram_after_a_change_is_decided_again(void **state)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (int i = 0; i < 3; i++)
		assert_string_equal(ebpf_ask_on(fd, FOUR), POD1);
	ebpf_plane_put(&plane, short_service("four", IPPROTO_UDP, FREE, POD1));
	ebpf_plane_put(&plane, short_service("b", IPPROTO_UDP, FOUR, POD2));
	for (int i = 0; i < 3; i++)
		assert_string_equal(ebpf_ask_on(fd, FOUR), POD2);
}

/* sendmsg4 runs for each of its datagrams, with the endpoint as the destination. */
static void a_mapped_socket_keeps_the_service_after_many_datagrams(void **state)
{
	const struct row udp = {.type = SOCK_DGRAM, .way = WAY_CONNECT};
	_cleanup_(closep) int fd = open_socket(&udp, &forms[2]);

	assert_true(fd >= 0);
	for (int i = 0; i < 5; i++)
		assert_string_equal(ebpf_ask_on(fd, NULL), POD1);
	assert_string_equal(ebpf_peer(fd), FOUR);
}

/* connect() to AF_UNSPEC passes no hook. */
static void a_socket_that_goes_to_the_endpoint_directly_shows_the_endpoint(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		_cleanup_(closep) int fd = ebpf_connect(types[i], FOUR);
		struct sockaddr_storage sa;
		const char *endpoint = types[i] == SOCK_STREAM ? POD1_TCP : POD1;
		socklen_t len = ebpf_sockaddr(endpoint, false, &sa);

		assert_string_equal(ebpf_peer(fd), FOUR);
		assert_int_equal(connect(fd, &none, sizeof(none)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
		assert_string_equal(ebpf_peer(fd), endpoint);
	}
}

static void a_socket_older_than_the_programs_is_served_from_its_next_call_on(void **state)
{
	_cleanup_(closep) int udp = -1, tcp = -1;
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(FOUR, false, &sa);

	ebpf_plane_close(&plane);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(set_up(state), 0);
	assert_string_equal(ebpf_ask_on(udp, FOUR), POD1);
	assert_int_equal(connect(tcp, (struct sockaddr *)&sa, len), 0);
	assert_string_equal(ebpf_peer(tcp), FOUR);
}

/* Such as ss reads it. */
static bool is_listed(const char *file, const char *peer)
{
	_cleanup_(fclosep) FILE *list = fopen(file, "re");
	char line[256];
	bool found = false;

	assert_non_null(list);
	while (fgets(line, sizeof(line), list))
		found |= strstr(line, peer) != NULL;
	return found;
}

/* No hook sees these: docs/SEMANTICS.md says so. */
static void lists_and_errors_of_the_kernel_have_the_endpoint(void **state)
{
	_cleanup_(closep) int tcp = ebpf_connect(SOCK_STREAM, FOUR);
	_cleanup_(closep) int udp = -1;
	struct sockaddr_storage to = {0};
	struct msghdr m = {.msg_name = &to, .msg_namelen = sizeof(to)};
	struct pollfd p = {.events = POLLIN};
	int on = 1;

	assert_true(tcp >= 0);
	assert_true(is_listed("/proc/net/tcp", " 0100F40A:2382 ")); /* POD1_TCP */
	ebpf_plane_put(&plane, short_service("free", IPPROTO_UDP, FREE, CLOSED));
	udp = ebpf_connect(SOCK_DGRAM, FREE);
	assert_int_equal(setsockopt(udp, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)), 0);
	assert_int_equal(send(udp, "?", 1, 0), 1);
	p.fd = udp;
	assert_int_equal(poll(&p, 1, 3000), 1);
	assert_true(recvmsg(udp, &m, MSG_ERRQUEUE) >= 0);
	assert_string_equal(format_sockaddr(&to), CLOSED);
	assert_string_equal(ebpf_peer(udp), FREE);
}

/* Numbers of links are counted up. */
static uint32_t link_id(const char *hook)
{
	_cleanup_(freep) char *path = xasprintf("%s/sluice/link_%s", stage->bpffs, hook);
	_cleanup_(closep) int link = bpf_obj_get(path);
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(link, &info, &len), 0);
	return info.id;
}

/* The answer to the first datagram that is sent to an endpoint has the service's name. */
static void what_shows_the_service_is_attached_first(void **state)
{
	static const char *const shows[] = {"recvmsg4", "recvmsg6", "getpeername4",
					    "getpeername6", "sock_release"},
				 *const sends[] = {"connect4", "connect6", "sendmsg4",
						   "sendmsg6"};

	for (size_t i = 0; i < N_ELEMENTS(shows) * N_ELEMENTS(sends); i++)
		assert_true(link_id(shows[i / N_ELEMENTS(sends)]) <
			    link_id(sends[i % N_ELEMENTS(sends)]));
}

static void the_verifier_needs_few_instructions(void **state)
{
	static const char *const hooks[] = {"connect4",	    "connect6",
					    "sendmsg4",	    "sendmsg6",
					    "recvmsg4",	    "recvmsg6",
					    "getpeername4", "getpeername6",
					    "sock_release"};

	for (size_t i = 0; i < N_ELEMENTS(hooks); i++) {
		_cleanup_(freep) char *path =
			xasprintf("%s/sluice/link_%s", stage->bpffs, hooks[i]);
		_cleanup_(closep) int link = bpf_obj_get(path);
		_cleanup_(closep) int prog = -1;
		struct bpf_link_info info = {0};
		struct bpf_prog_info p = {0};
		uint32_t len = sizeof(info), p_len = sizeof(p);

		assert_true(link >= 0);
		assert_int_equal(bpf_obj_get_info_by_fd(link, &info, &len), 0);
		prog = bpf_prog_get_fd_by_id(info.prog_id);
		assert_true(prog >= 0);
		assert_int_equal(bpf_obj_get_info_by_fd(prog, &p, &p_len), 0);
		print_message("%-12s %5u instructions verified, %4u bytes of eBPF, %4u "
			      "of machine code\n",
			      hooks[i], p.verified_insns, p.xlated_prog_len,
			      p.jited_prog_len);
		assert_in_range(p.verified_insns, 1, MAX_INSNS);
	}
}

#define WITH_PLANE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_PLANE(every_way_leads_to_the_endpoint_and_shows_the_service),
		WITH_PLANE(every_way_of_tcp_is_refused_without_endpoints),
		WITH_PLANE(two_services_asked_from_one_socket_answer_by_their_names),
		WITH_PLANE(the_next_datagram_after_a_change_is_decided_again),
		WITH_PLANE(a_mapped_socket_keeps_the_service_after_many_datagrams),
		WITH_PLANE(
			a_socket_that_goes_to_the_endpoint_directly_shows_the_endpoint),
		WITH_PLANE(
			a_socket_older_than_the_programs_is_served_from_its_next_call_on),
		WITH_PLANE(lists_and_errors_of_the_kernel_have_the_endpoint),
		WITH_PLANE(what_shows_the_service_is_attached_first),
		WITH_PLANE(the_verifier_needs_few_instructions),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	ebpf_stage_serve(POD1 " " POD2 " " SIX1);
	listeners[0] = ebpf_listen(POD1_TCP);
	listeners[1] = ebpf_listen(SIX1_TCP);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)close(listeners[0]);
	(void)close(listeners[1]);
	ebpf_stage_leave(stage);
	return n_failed;
}
