/*
 * Answers of a kernel, from byte arrays and through a socket pair: complete,
 * refused, ended by an error, interrupted, cut, lost, of other requests.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/netlink.h"

#define SEQ   7
#define ENTRY NLMSG_MIN_TYPE
#define NONE  INT32_MAX /* no payload */

/* Messages of one datagram; a type of 0 ends them. */
struct row {
	uint16_t type, flags;
	uint32_t seq;
	int payload;
};

struct datagram {
	_Alignas(struct nlmsghdr) char bytes[1024];
	size_t len;
};

static void put(struct datagram *d, const struct row *row)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(d->bytes + d->len);

	message->nlmsg_type = row->type;
	message->nlmsg_flags = row->flags;
	message->nlmsg_seq = row->seq;
	if (row->payload != NONE)
		*(int *)mnl_nlmsg_put_extra_header(message, sizeof(int)) = row->payload;
	d->len += MNL_ALIGN(message->nlmsg_len);
}

static struct datagram datagram_of(const struct row rows[4])
{
	struct datagram d = {0};

	for (size_t i = 0; i < 4 && rows[i].type; i++)
		put(&d, &rows[i]);
	return d;
}

/* Counts messages; fails at the one whose payload is negative. */
static int take(void *data, const struct nlmsghdr *message)
{
	unsigned int *n = data;
	const int *payload = mnl_nlmsg_get_payload(message);

	++*n;
	return *payload < 0 ? *payload : 0;
}

static const struct {
	const char *what;
	struct row rows[4];
	bool is_single;
	int result;
	unsigned int n;
	bool is_interrupted;
} answers[] = {
	{"unfinished", {{ENTRY, 0, SEQ, 1}}, false, 1, 1, false},
	{"done", {{ENTRY, 0, SEQ, 1}, {NLMSG_DONE, 0, SEQ, 0}}, false, 0, 1, false},
	{"done without a payload", {{NLMSG_DONE, 0, SEQ, NONE}}, false, 0, 0, false},
	{"done with an error",
	 {{ENTRY, 0, SEQ, 1}, {NLMSG_DONE, 0, SEQ, -ENOENT}},
	 false,
	 -ENOENT,
	 1,
	 false},
	{"done with a positive error",
	 {{NLMSG_DONE, 0, SEQ, 5}},
	 false,
	 -EBADMSG,
	 0,
	 false},
	{"refused", {{NLMSG_ERROR, 0, SEQ, -EPERM}}, false, -EPERM, 0, false},
	{"refused without an error",
	 {{NLMSG_ERROR, 0, SEQ, NONE}},
	 true,
	 -EBADMSG,
	 0,
	 false},
	{"acknowledged",
	 {{ENTRY, 0, SEQ, 1}, {NLMSG_ERROR, 0, SEQ, 0}},
	 false,
	 0,
	 1,
	 false},
	{"single", {{ENTRY, 0, SEQ, 1}, {ENTRY, 0, SEQ, 1}}, true, 0, 1, false},
	{"single, refused by the callback",
	 {{ENTRY, 0, SEQ, -EIO}},
	 true,
	 -EIO,
	 1,
	 false},
	{"refused by the callback, then done",
	 {{ENTRY, 0, SEQ, -EIO}, {ENTRY, 0, SEQ, 1}, {NLMSG_DONE, 0, SEQ, 0}},
	 false,
	 -EIO,
	 1,
	 false},
	{"interrupted, in an entry",
	 {{ENTRY, NLM_F_DUMP_INTR, SEQ, 1}, {ENTRY, 0, SEQ, 1}, {NLMSG_DONE, 0, SEQ, 0}},
	 false,
	 0,
	 2,
	 true},
	{"interrupted, at the end",
	 {{NLMSG_DONE, NLM_F_DUMP_INTR, SEQ, 0}},
	 false,
	 0,
	 0,
	 true},
	{"of another request",
	 {{ENTRY, NLM_F_DUMP_INTR, SEQ - 1, 1}, {NLMSG_DONE, 0, SEQ + 1, -EIO}},
	 false,
	 1,
	 0,
	 false},
	{"no operation", {{NLMSG_NOOP, 0, SEQ, NONE}}, true, 1, 0, false},
	{"overrun", {{NLMSG_OVERRUN, 0, SEQ, NONE}}, false, -ENOBUFS, 0, false},
};

static void every_kind_of_netlink_answer_has_its_result(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(answers); i++) {
		unsigned int n = 0;
		struct netlink_reader r = {
			.seq = SEQ,
			.is_single = answers[i].is_single,
			.message = take,
			.data = &n,
		};
		struct datagram d = datagram_of(answers[i].rows);
		int result = netlink_reader_feed(&r, d.bytes, d.len);

		if (result != answers[i].result || n != answers[i].n ||
		    r.is_interrupted != answers[i].is_interrupted)
			fail_msg("%s: %d, %u entries%s", answers[i].what, result, n,
				 r.is_interrupted ? ", interrupted" : "");
	}
}

static void a_cut_datagram_is_refused(void **state)
{
	const struct row rows[4] = {{ENTRY, 0, SEQ, 1}};
	struct datagram d = datagram_of(rows);
	unsigned int n = 0;
	struct netlink_reader r = {.seq = SEQ, .message = take, .data = &n};

	(void)state;
	for (size_t len = 1; len < d.len; len++)
		assert_int_equal(netlink_reader_feed(&r, d.bytes, len), -EBADMSG);
	assert_int_equal(n, 0);
	((struct nlmsghdr *)(void *)d.bytes)->nlmsg_len = 3; /* shorter than a header */
	assert_int_equal(netlink_reader_feed(&r, d.bytes, d.len), -EBADMSG);
}

/* The kernel is the other end of a socket pair. */
struct pair {
	int ours, kernel;
};

static int open_pair(void **state)
{
	static struct pair p;
	const struct timeval patience = {.tv_usec = 50000};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	p = (struct pair){fds[0], fds[1]};
	assert_int_equal(setsockopt(p.ours, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)),
			 0);
	*state = &p;
	return 0;
}

static int close_pair(void **state)
{
	const struct pair *p = *state;

	(void)close(p->ours);
	(void)close(p->kernel);
	return 0;
}

static void answer(const struct pair *p, const struct row rows[4])
{
	struct datagram d = datagram_of(rows);

	assert_int_equal(send(p->kernel, d.bytes, d.len, 0), d.len);
}

static int run(const struct pair *p, unsigned int *ret_n, size_t buffer_len)
{
	_Alignas(struct nlmsghdr) char buffer[1024];
	struct netlink_reader r = {.seq = SEQ, .message = take, .data = ret_n};

	*ret_n = 0;
	return netlink_reader_run(&r, p->ours, buffer, buffer_len);
}

static const struct row entries[4] = {{ENTRY, 0, SEQ, 1}, {ENTRY, 0, SEQ, 1}};
static const struct row old[4] = {{NLMSG_DONE, 0, SEQ - 1, 0}};
static const struct row end[4] = {{NLMSG_DONE, 0, SEQ, 0}};
static const struct row bad_end[4] = {{NLMSG_DONE, 0, SEQ, -EMSGSIZE}};

static void an_answer_of_several_datagrams_is_read_to_its_end(void **state)
{
	unsigned int n;

	answer(*state, old);
	answer(*state, entries);
	answer(*state, entries);
	answer(*state, end);
	assert_int_equal(run(*state, &n, 1024), 0);
	assert_int_equal(n, 4);
}

static void many_datagrams_are_received_at_a_time(void **state)
{
	static const struct row entry[4] = {{ENTRY, 0, SEQ, 1}};
	const struct pair *p = *state;
	_Alignas(struct nlmsghdr) char buffer[1024];
	unsigned int n = 0;
	struct netlink_reader r = {.seq = SEQ,
				   .datagram_len = 64,
				   .message = take,
				   .data = &n};

	answer(p, old);
	for (unsigned int i = 0; i < 100; i++)
		answer(p, entry);
	answer(p, end);
	assert_int_equal(netlink_reader_run(&r, p->ours, buffer, sizeof(buffer)), 0);
	assert_int_equal(n, 100);
	r.datagram_len = 16; /* shorter than an entry */
	answer(p, entry);
	assert_int_equal(netlink_reader_run(&r, p->ours, buffer, sizeof(buffer)),
			 -EMSGSIZE);
}

static void a_dump_that_ends_with_an_error_is_not_complete(void **state)
{
	unsigned int n;

	answer(*state, entries);
	answer(*state, bad_end);
	assert_int_equal(run(*state, &n, 1024), -EMSGSIZE);
}

static void a_missing_answer_times_out(void **state)
{
	unsigned int n;

	answer(*state, entries);
	assert_int_equal(run(*state, &n, 1024), -ETIMEDOUT);
}

static void a_datagram_longer_than_the_buffer_is_refused(void **state)
{
	unsigned int n;

	answer(*state, entries);
	assert_int_equal(run(*state, &n, 24), -EMSGSIZE);
	assert_int_equal(n, 0);
}

static void a_closed_socket_ends_the_answer(void **state)
{
	struct pair *p = *state;
	unsigned int n;

	(void)shutdown(p->kernel, SHUT_RDWR);
	assert_int_equal(run(p, &n, 1024), -EBADMSG);
}

static void datagrams_of_other_requests_do_not_extend_the_timeout(void **state)
{
	/* the child may wait for a processor meanwhile */
	const struct timeval patience = {.tv_sec = 10};
	const struct pair *p = *state;
	struct datagram d = datagram_of(old);
	_Alignas(struct nlmsghdr) char buffer[1024];
	unsigned int n = 0;
	int result = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	assert_int_equal(setsockopt(p->ours, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)),
			 0);
	if (!child) {
		while (send(p->kernel, d.bytes, d.len, MSG_NOSIGNAL) >= 0)
			continue;
		_exit(0);
	}
	result = run(p, &n, sizeof(buffer));
	(void)shutdown(p->ours, SHUT_RDWR); /* ends the child */
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(result, -EBADMSG);
}

/* Acknowledgements that are not read until the socket is full. */
static void lost_messages_are_reported(void **state)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	_Alignas(struct nlmsghdr) char buffer[8192];
	_cleanup_(closep) int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int small = 1;
	ssize_t len;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (unsigned int i = 0; i < 64; i++) {
		struct datagram d = {.len = sizeof(struct nlmsghdr)};
		struct nlmsghdr *request = mnl_nlmsg_put_header(d.bytes);

		request->nlmsg_type =
			NLMSG_MIN_TYPE - 1; /* reserved: just acknowledged */
		request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		request->nlmsg_seq = i;
		(void)sendto(fd, d.bytes, d.len, MSG_DONTWAIT,
			     (const struct sockaddr *)&address, sizeof(address));
	}
	do {
		len = netlink_receive(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	} while (len > 0);
	assert_int_equal(len, -ENOBUFS);
}

/* Of another process, as far as the kernel's port number says. */
static void datagrams_of_other_senders_are_skipped(void **state)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(address);
	_cleanup_(closep) int ours =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	_cleanup_(closep) int other =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	struct datagram d = datagram_of(end);
	_Alignas(struct nlmsghdr) char buffer[1024];

	(void)state;
	assert_int_equal(bind(ours, (const struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(ours, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(sendto(other, d.bytes, d.len, 0,
				(const struct sockaddr *)&address, len),
			 d.len);
	assert_int_equal(netlink_receive(ours, buffer, sizeof(buffer), MSG_DONTWAIT),
			 -EAGAIN);
}

static void attributes_are_found_by_type(void **state)
{
	struct datagram d = {0};
	struct nlmsghdr *message = mnl_nlmsg_put_header(d.bytes);
	struct nlattr *nest;
	uint32_t number;

	(void)state;
	mnl_nlmsg_put_extra_header(message, 4);
	mnl_attr_put_u32(message, 1, htonl(5));
	mnl_attr_put_strz(message, 2, "text");
	mnl_attr_put(message, 3, 2, "no");
	nest = mnl_attr_nest_start(message, 4);
	mnl_attr_put_strz(message, 1, "inner");
	mnl_attr_nest_end(message, nest);

	assert_true(netlink_u32(netlink_attr(message, 4, 1), &number));
	assert_int_equal(number, 5);
	assert_string_equal(netlink_string(netlink_attr(message, 4, 2)), "text");
	assert_null(netlink_string(netlink_attr(message, 4, 3)));
	assert_true(netlink_has_len(netlink_attr(message, 4, 3), 2));
	assert_false(netlink_u32(netlink_attr(message, 4, 3), &number));
	assert_string_equal(netlink_string(
				    netlink_attr_in(netlink_attr(message, 4, 4), 1)),
			    "inner");
	assert_null(netlink_attr(message, 4, 5));
	assert_null(netlink_attr_in(NULL, 1));
	assert_null(netlink_string(NULL));
	assert_false(netlink_has_len(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_netlink_answer_has_its_result),
		cmocka_unit_test(a_cut_datagram_is_refused),
		cmocka_unit_test_setup_teardown(
			an_answer_of_several_datagrams_is_read_to_its_end, open_pair,
			close_pair),
		cmocka_unit_test_setup_teardown(many_datagrams_are_received_at_a_time,
						open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
			a_dump_that_ends_with_an_error_is_not_complete, open_pair,
			close_pair),
		cmocka_unit_test_setup_teardown(a_missing_answer_times_out, open_pair,
						close_pair),
		cmocka_unit_test_setup_teardown(
			a_datagram_longer_than_the_buffer_is_refused, open_pair,
			close_pair),
		cmocka_unit_test_setup_teardown(a_closed_socket_ends_the_answer,
						open_pair, close_pair),
		cmocka_unit_test_setup_teardown(
			datagrams_of_other_requests_do_not_extend_the_timeout, open_pair,
			close_pair),
		cmocka_unit_test(lost_messages_are_reported),
		cmocka_unit_test(datagrams_of_other_senders_are_skipped),
		cmocka_unit_test(attributes_are_found_by_type),
	};

	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}
