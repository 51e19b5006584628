/*
 * From one process of userspace mode to the next: messages with descriptors, and a
 * block of state. Both are refused as a whole when a part is damaged.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/relay/relay_handover.h"
#include "proxy/relay/relay_inheritance.h"
#include "proxy/relay/relay_sink_private.h"
#include "proxy/relay/relay_state.h"
#include "proxy/relay/relay_transfer.h"
#include "tests/test.h"
#include "tests/unit/turn_loop.h"

struct message { /* as in relay_handover.c */
	char magic[8];
	uint32_t version, kind;
	uint64_t n;
};

enum { SOCKETS = 2, STATE, END };

static struct message message_of(uint32_t kind, uint64_t n)
{
	struct message m = {.version = 1, .kind = kind, .n = n};

	memcpy(m.magic, "sluiceHO", sizeof(m.magic));
	return m;
}

static void send_raw(int to, const void *bytes, size_t len, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.buf = ""};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		m.msg_control = control.buf;
		m.msg_controllen = sizeof(control.buf);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						      .cmsg_level = SOL_SOCKET,
						      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(to, &m, 0), len);
}

static void send_one(int to, uint32_t kind, uint64_t n, int fd)
{
	struct message m = message_of(kind, n);

	send_raw(to, &m, sizeof(m), fd);
}

static int listener(struct relay_listener_key *ret_key)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_key = (struct relay_listener_key){.port = ntohs(sa.sin_port),
					       .proto = IPPROTO_TCP};
	assert_int_equal(addr_parse("127.0.0.1", &ret_key->addr), 0);
	return fd;
}

static unsigned n_open(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void listeners_and_the_state_arrive(void **state)
{
	struct relay_listener_key key;
	_cleanup_(closep) int fd = listener(&key);
	_cleanup_(closep) int memory = memfd_create("state", MFD_CLOEXEC);
	struct relay_inheritance in;
	const char *why;
	int ends[2], got;

	relay_inheritance_init(&in);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	send_one(ends[1], SOCKETS, 0, fd);
	send_one(ends[1], SOCKETS, 0, fd);
	send_one(ends[1], STATE, 0, memory);
	send_one(ends[1], END, 3, -1);
	assert_int_equal(relay_handover_read(ends[0], &in, &why), 0);
	assert_int_equal(in.n_sockets, 2);
	assert_int_equal(relay_inheritance_n(&in, &key), 2);
	assert_true(in.state_fd >= 0);
	got = relay_inheritance_take(&in, &key);
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
	(void)close(got);
	key.port ^= 1;
	assert_int_equal(relay_inheritance_take(&in, &key), -1);
	relay_inheritance_fini(&in, NULL, NULL);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void on_alarm(int number)
{
	(void)number;
}

/* SIGHUP and the like, while the old process prepares its answer. */
static void signals_do_not_end_a_hand_over(void **state)
{
	const struct itimerval often = {.it_interval = {.tv_usec = 5000},
					.it_value = {.tv_usec = 5000}},
			       never = {0};
	const struct timeval timeout = {.tv_sec = 5};
	const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct relay_inheritance in;
	const char *why = "";
	int ends[2], err;
	pid_t pid;

	relay_inheritance_init(&in);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &timeout,
				    sizeof(timeout)),
			 0);
	pid = fork();
	if (pid == 0) {
		(void)usleep(100000);
		send_one(ends[1], END, 0, -1);
		_exit(0);
	}
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	err = relay_handover_read(ends[0], &in, &why);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	if (err)
		fail_msg("%s", why);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	relay_inheritance_fini(&in, NULL, NULL);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void a_successor_without_a_descriptor_left_waits(void **state)
{
	static const struct relay_handover_hooks hooks = {.data = NULL};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ev_loop *loop = ev_loop_new(0);
	struct relay_handover *h = NULL;
	struct rlimit before, none;
	unsigned n_turns;

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/sluice-handover-%d",
		       (int)getpid());
	assert_int_equal(relay_handover_new(loop, sa.sun_path, &hooks, &h), 0);
	turn_loop(loop, 0.01); /* the loop has opened its own descriptors */
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	n_turns = turn_loop(loop, 0.3);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	relay_handover_free(h);
	ev_loop_destroy(loop);
	assert_in_range(n_turns, 1, 10);
}

/* A message with one wrong part: a byte, its length, or the descriptor. */
static const struct {
	const char *name;
	size_t at; /* of the first byte that is changed */
	size_t len;
	int err;
	bool with_fd, with_pipe;
} damages[] = {
	{"the magic", 0, sizeof(struct message), -EBADMSG, true, false},
	{"the version", 8, sizeof(struct message), -EPROTONOSUPPORT, true, false},
	{"the kind", 12, sizeof(struct message), -EBADMSG, true, false},
	{"too short", SIZE_MAX, sizeof(struct message) - 1, -EBADMSG, true, false},
	{"too long", SIZE_MAX, sizeof(struct message) + 1, -EBADMSG, true, false},
	{"empty", SIZE_MAX, 0, -EBADMSG, true, false},
	{"without a descriptor", SIZE_MAX, sizeof(struct message), -EBADMSG, false,
	 false},
	{"a pipe", SIZE_MAX, sizeof(struct message), -EINVAL, false, true},
};

static void a_damaged_message_is_refused_and_leaves_no_descriptor(void **state)
{
	struct relay_listener_key key;
	_cleanup_(closep) int fd = listener(&key);
	unsigned before = n_open();

	for (size_t i = 0; i < N_ELEMENTS(damages); i++) {
		char bytes[sizeof(struct message) + 1] = "";
		struct message m = message_of(SOCKETS, 0);
		struct relay_inheritance in;
		const char *why = NULL;
		int ends[2], pipes[2];

		relay_inheritance_init(&in);
		memcpy(bytes, &m, sizeof(m));
		if (damages[i].at != SIZE_MAX)
			bytes[damages[i].at] ^= 0x40;
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
		assert_int_equal(pipe(pipes), 0);
		send_one(ends[1], SOCKETS, 0, fd);
		send_raw(ends[1], bytes, damages[i].len,
			 damages[i].with_fd	? fd
			 : damages[i].with_pipe ? pipes[0]
						: -1);
		assert_int_equal(relay_handover_read(ends[0], &in, &why), damages[i].err);
		assert_non_null(why);
		assert_int_equal(in.n_sockets, 0);
		for (int k = 0; k < 2; k++) {
			(void)close(ends[k]);
			(void)close(pipes[k]);
		}
		assert_int_equal(n_open(), before);
	}
}

static void an_end_with_another_number_or_none_at_all_is_refused(void **state)
{
	struct relay_listener_key key;
	_cleanup_(closep) int fd = listener(&key);
	struct relay_inheritance in;
	const char *why;
	int ends[2];

	relay_inheritance_init(&in);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	send_one(ends[1], SOCKETS, 0, fd);
	send_one(ends[1], END, 2, -1);
	assert_int_equal(relay_handover_read(ends[0], &in, &why), -EBADMSG);
	send_one(ends[1], SOCKETS, 0, fd);
	(void)close(ends[1]);
	assert_int_equal(relay_handover_read(ends[0], &in, &why), -ECONNRESET);
	assert_int_equal(in.n_sockets, 0);
	(void)close(ends[0]);
}

/* ---- sockets in use ---- */

struct arrived {
	unsigned n;
	uint64_t since_ms;
	struct addr frontend;
	uint16_t port;
};

static void note_socket(void *data, int fd, const struct relay_transfer_record *record)
{
	struct arrived *a = data;

	a->n++;
	a->since_ms += record->since_ms;
	a->frontend = record->frontend;
	a->port = record->frontend_port;
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	(void)close(fd);
}

/* More than fit in a message. */
static void sockets_in_use_arrive_with_their_records(void **state)
{
	struct relay_listener_key key;
	_cleanup_(closep) int fd = listener(&key);
	unsigned before = n_open(), n_messages = 0;
	struct relay_transfer t = {0};
	struct arrived a = {0};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	t.fd = ends[1];
	for (unsigned i = 0; i < 300; i++)
		relay_transfer_add(&t, fd, fd,
				   &(struct relay_transfer_record){.since_ms = i});
	relay_transfer_flush(&t);
	assert_int_equal(t.err, 0);
	(void)close(ends[1]);
	while (relay_transfer_read(ends[0], note_socket, &a) == 0)
		n_messages++;
	assert_int_equal(n_messages, 2);
	assert_int_equal(a.n, 300);
	assert_int_equal(a.since_ms, 300 * 299 / 2);
	assert_int_equal(a.port, key.port);
	assert_true(addr_equal(&a.frontend, &key.addr));
	assert_int_equal(relay_transfer_read(ends[0], note_socket, &a), -ECONNRESET);
	(void)close(ends[0]);
	assert_int_equal(n_open(), before);
}

/* Bytes of a message with one socket: a changed one, or another length. */
static const struct {
	const char *name;
	size_t at, len;
	bool with_fd;
} transfer_damages[] = {
	{"the magic", 0, 80, true},
	{"the version", 8, 80, true},
	{"the number", 12, 80, true},
	{"too short", SIZE_MAX, 79, true},
	{"a part of its head", SIZE_MAX, 5, true},
	{"too long", SIZE_MAX, 81, true},
	{"empty", SIZE_MAX, 0, true},
	{"without a socket", SIZE_MAX, 80, false},
};

static void a_damaged_message_with_sockets_in_use_is_refused(void **state)
{
	struct relay_listener_key key;
	_cleanup_(closep) int fd = listener(&key);
	unsigned before = n_open();

	for (size_t i = 0; i < N_ELEMENTS(transfer_damages); i++) {
		char bytes[81] = "";
		struct relay_transfer t = {0};
		struct arrived a = {0};
		int ends[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
		t.fd = ends[1];
		relay_transfer_add(&t, fd, fd, &(struct relay_transfer_record){0});
		relay_transfer_flush(&t);
		assert_int_equal(recv(ends[0], bytes, sizeof(bytes), 0), 80);
		if (transfer_damages[i].at != SIZE_MAX)
			bytes[transfer_damages[i].at] ^= 1;
		send_raw(ends[1], bytes, transfer_damages[i].len,
			 transfer_damages[i].with_fd ? fd : -1);
		assert_int_equal(relay_transfer_read(ends[0], note_socket, &a), -EBADMSG);
		assert_int_equal(a.n, 0);
		(void)close(ends[0]);
		(void)close(ends[1]);
		assert_int_equal(n_open(), before);
	}
}

/* ---- the state ---- */

static struct service *web(void)
{
	struct endpoint endpoints[2] = {{.port = 8080, .flags = ENDPOINT_CLUSTER},
					{.port = 8081, .flags = ENDPOINT_CLUSTER}};

	assert_int_equal(addr_parse("10.0.0.1", &endpoints[0].addr), 0);
	endpoints[1].addr = endpoints[0].addr;
	return service_new(&(struct service_spec){.ns = "test",
						  .name = "web",
						  .port_name = "p",
						  .proto = IPPROTO_TCP,
						  .endpoints = endpoints,
						  .n_endpoints = 2});
}

static int write_sample(const struct service *service)
{
	struct relay_state_writer w = {.totals = {7}};
	struct relay_state_service record = relay_state_describe(&w, service);
	int fd = memfd_create("state", MFD_CLOEXEC);

	record.id = 5;
	record.counters[0] = 11;
	relay_state_add(&w, RELAY_STATE_SERVICES, &record);
	for (uint32_t i = 0; i < 2; i++)
		relay_state_add(&w, RELAY_STATE_ENDPOINTS,
				&(struct relay_state_endpoint){.port = (uint16_t)(8080 +
										  i),
							       .n_connections = 3 + i});
	for (uint32_t i = 0; i < 6; i++)
		relay_state_add(&w, RELAY_STATE_BINDINGS,
				&(struct relay_state_binding){.service = 4 + i % 3,
							      .until_ms = i});
	assert_int_equal(relay_state_write(&w, fd), 0);
	return fd;
}

static void a_state_is_read_as_it_was_written(void **state)
{
	struct service *service = web();
	_cleanup_(closep) int fd = write_sample(service);
	const struct relay_state_service *record;
	struct relay_state *s;
	const char *why;
	size_t n;

	assert_int_equal(relay_state_read(fd, &s, &why), 0);
	assert_int_equal(relay_state_totals(s)[0], 7);
	record = relay_state_find(s, service);
	assert_non_null(record);
	assert_int_equal(record->counters[0], 11);
	assert_int_equal(relay_state_endpoints(s, record)[1].n_connections, 4);
	assert_int_equal(relay_state_bindings(s, record, &n)[0].service, 5);
	assert_int_equal(n, 2);
	relay_state_free(s);
	service_unref(service);
}

static void a_state_with_any_changed_byte_or_length_is_refused(void **state)
{
	struct service *service = web();
	_cleanup_(closep) int fd = write_sample(service);
	char bytes[4096];
	ssize_t len = pread(fd, bytes, sizeof(bytes), 0);
	struct relay_state *s;
	const char *why;

	assert_true(len > 0 && (size_t)len < sizeof(bytes));
	for (ssize_t i = 0; i < len; i++) {
		char changed = (char)(bytes[i] ^ 1);

		/* the version is looked at after the checksum, which does not cover it */
		assert_int_equal(pwrite(fd, &changed, 1, i), 1);
		assert_true(relay_state_read(fd, &s, &why) < 0);
		assert_int_equal(pwrite(fd, &bytes[i], 1, i), 1);
		assert_true(relay_state_parse(bytes, (size_t)i, &s, &why) < 0);
	}
	assert_int_equal(relay_state_read(fd, &s, &why), 0);
	relay_state_free(s);
	service_unref(service);
}

struct leaver {
	struct relay_sink sink;
	bool has_ended;
};

static void *leave(void *data)
{
	struct leaver *l = data;

	relay_sink_leave(&l->sink);
	__atomic_store_n(&l->has_ended, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Its worker may accept a connection until then. */
static void a_process_stays_until_its_last_listener_is_closed(void **state)
{
	struct leaver l = {
		.sink = {.is_handed_over = true, .predecessor_fd = -1, .state_fd = -1}};
	pthread_t thread;

	(void)state;
	relay_inheritance_init(&l.sink.inheritance);
	relay_limit_init(&l.sink.limit, 1);
	assert_true(relay_limit_take_ear(&l.sink.limit, IPPROTO_TCP));
	assert_int_equal(pthread_create(&thread, NULL, leave, &l), 0);
	(void)usleep(200000);
	assert_false(__atomic_load_n(&l.has_ended, __ATOMIC_ACQUIRE));
	assert_true(relay_limit_take_conn(&l.sink.limit));
	relay_limit_give_ear(&l.sink.limit, IPPROTO_TCP);
	(void)usleep(200000);
	assert_false(__atomic_load_n(&l.has_ended, __ATOMIC_ACQUIRE));
	relay_limit_give_conn(&l.sink.limit);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listeners_and_the_state_arrive),
		cmocka_unit_test(signals_do_not_end_a_hand_over),
		cmocka_unit_test(a_successor_without_a_descriptor_left_waits),
		cmocka_unit_test(a_damaged_message_is_refused_and_leaves_no_descriptor),
		cmocka_unit_test(an_end_with_another_number_or_none_at_all_is_refused),
		cmocka_unit_test(sockets_in_use_arrive_with_their_records),
		cmocka_unit_test(a_damaged_message_with_sockets_in_use_is_refused),
		cmocka_unit_test(a_process_stays_until_its_last_listener_is_closed),
		cmocka_unit_test(a_state_is_read_as_it_was_written),
		cmocka_unit_test(a_state_with_any_changed_byte_or_length_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
