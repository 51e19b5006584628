/*
 * Sockets are made inside the namespace and used from outside: a socket keeps
 * the namespace that it was made in.
 */
#include "tests/kernel/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/kernel/outside.h"
#include "tests/test.h"

#define ICMP_US 200000

struct target target_named(const char *from, const char *to, uint8_t proto,
			   enum family family)
{
	struct target t = {.from = from, .proto = proto, .family = family};

	t.addr = world_addr_port(to, family, &t.port);
	return t;
}

static int make_socket(const struct world *w, const struct target *t, int type)
{
	int af = t->is_mapped ? AF_INET6 : family_af(t->family), fd;
	enum place place = world_place(t->from);
	const char *procs = outside_is(w, place) ? w->outside : t->procs;

	if (procs)
		return outside_socket(w, place, procs, af, type, t->proto);
	world_enter(w, place);
	fd = socket(af, type, t->proto);
	if (fd == -1)
		fd = -errno;
	world_leave(w);
	return fd;
}

static socklen_t make_sockaddr(const struct target *t, const struct addr *a,
			       uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)(void *)ret;

	if (!t->is_mapped)
		return addr_to_sockaddr(a, port, ret);
	*sin6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
	memcpy(&sin6->sin6_addr, a->b, sizeof(sin6->sin6_addr));
	return sizeof(*sin6);
}

static int new_socket(const struct world *w, const struct target *t)
{
	int type = t->proto == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
	struct linger reset = {.l_onoff = 1};
	struct sockaddr_storage sa;
	struct addr source = world_addr(t->from, t->family);
	socklen_t len = make_sockaddr(t, &source, 0, &sa);
	int fd, one = 1;

	fd = make_socket(w, t, type | SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return fd;
	/* errors of the network come through the error queue, with their origin */
	(void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (t->family == FAMILY_IPV6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one));
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (bind(fd, (const struct sockaddr *)&sa, len) == -1)
		fail_msg("bind to %s: %s", t->from, strerror(errno));
	return fd;
}

bool probe_can_do_sctp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);

	probe_close(fd);
	return fd >= 0;
}

static bool error_is_icmp(int fd)
{
	_Alignas(struct cmsghdr) char control[512];
	char data[512];
	struct iovec iov = {data, sizeof(data)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) == -1)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct sock_extended_err e;

		if ((c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR) &&
		    (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_RECVERR))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof(e));
		return e.ee_origin == SO_EE_ORIGIN_ICMP ||
		       e.ee_origin == SO_EE_ORIGIN_ICMP6;
	}
	return false;
}

static void set_error(struct answer *a, int fd, int err)
{
	a->err = err;
	a->outcome = err == ECONNREFUSED ? PROBE_REFUSED : PROBE_FAILED;
	a->by_icmp = error_is_icmp(fd);
}

/* False when the socket got an error or the time is over; then *a says which. */
static bool wait_for(int fd, short events, uint64_t deadline_us, struct answer *a)
{
	struct pollfd p = {fd, events, 0};
	int err = 0;
	socklen_t len = sizeof(err);

	for (;;) {
		uint64_t now = world_now_us();
		int left_ms =
			now >= deadline_us ? 0 : (int)((deadline_us - now + 999) / 1000);
		int n = poll(&p, 1, left_ms);

		if (n == 0) {
			a->outcome = PROBE_SILENT;
			return false;
		}
		if (n == 1)
			break;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		set_error(a, fd, err);
		return false;
	}
	return true;
}

static void parse_answer(char *text, struct answer *a)
{
	char *space = strchr(text, ' '), *end = strchr(text, '\n');

	a->outcome = PROBE_FAILED;
	if (!space || !end)
		return;
	*space = *end = '\0';
	if (!addr_port_parse(text, &a->backend, &a->backend_port) &&
	    !addr_port_parse(space + 1, &a->source, &a->source_port))
		a->outcome = PROBE_ANSWERED;
}

/*
 * A packet rejected on its way out of this host fails at send() with EPERM, as
 * a packet dropped there does; but then the ICMP error comes, too.
 */
static void ask_failed(int fd, int err, struct answer *a)
{
	if (err == EPERM && !wait_for(fd, POLLIN, world_now_us() + ICMP_US, a) &&
	    a->outcome == PROBE_REFUSED)
		return;
	set_error(a, fd, err);
}

static bool is_from(const struct target *t, const struct sockaddr_storage *from)
{
	struct addr addr;
	uint16_t port;

	return addr_from_sockaddr((const struct sockaddr *)from, &addr, &port) == 0 &&
	       addr_equal(&addr, &t->addr) && port == t->port;
}

/* With a target the datagram goes there, and only an answer from there counts. */
static void ask(int fd, const struct target *t, uint64_t deadline_us, struct answer *a)
{
	struct sockaddr_storage to = {0}, from = {0};
	socklen_t to_len = t ? make_sockaddr(t, &t->addr, t->port, &to) : 0,
		  from_len = sizeof(from);
	char text[256];
	ssize_t len;

	if (sendto(fd, "?", 1, MSG_NOSIGNAL, t ? (struct sockaddr *)&to : NULL, to_len) ==
	    -1) {
		ask_failed(fd, errno, a);
		return;
	}
	if (!wait_for(fd, POLLIN, deadline_us, a))
		return;
	len = recvfrom(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&from,
		       &from_len);
	if (len <= 0) {
		set_error(a, fd, len ? errno : EPIPE);
		return;
	}
	if (t && !is_from(t, &from)) {
		set_error(a, fd, EREMCHG);
		return;
	}
	text[len] = '\0';
	parse_answer(text, a);
}

static void note_own_address(int fd, struct answer *a)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (!getsockname(fd, (struct sockaddr *)&sa, &len))
		(void)addr_from_sockaddr((const struct sockaddr *)&sa, &a->own,
					 &a->own_port);
}

static void connect_and_ask(int fd, const struct target *t, uint64_t deadline_us,
			    struct answer *a)
{
	struct sockaddr_storage sa;
	socklen_t len = make_sockaddr(t, &t->addr, t->port, &sa);

	if (t->is_unconnected) {
		note_own_address(fd, a);
		ask(fd, t, deadline_us, a);
		return;
	}
	if (connect(fd, (const struct sockaddr *)&sa, len) == -1 &&
	    errno != EINPROGRESS) {
		set_error(a, fd, errno);
		return;
	}
	if (!wait_for(fd, POLLOUT, deadline_us, a))
		return;
	note_own_address(fd, a);
	ask(fd, NULL, deadline_us, a);
}

int probe_open(const struct world *w, const struct target *t, int timeout_ms,
	       struct answer *ret)
{
	int fd = new_socket(w, t);
	uint64_t start = world_now_us();

	*ret = (struct answer){0};
	if (fd < 0) {
		ret->outcome = PROBE_FAILED;
		ret->err = -fd;
		return fd;
	}
	connect_and_ask(fd, t, start + (uint64_t)timeout_ms * 1000, ret);
	ret->took_us = world_now_us() - start;
	return fd;
}

struct answer probe(const struct world *w, const struct target *t, int timeout_ms)
{
	struct answer a;

	probe_close(probe_open(w, t, timeout_ms, &a));
	return a;
}

struct answer probe_ask(int fd, const struct target *t, int timeout_ms)
{
	struct answer a = {0};
	uint64_t start = world_now_us();
	char stale[256];

	/* a late answer belongs to an earlier request */
	while (recv(fd, stale, sizeof(stale), MSG_DONTWAIT) > 0)
		;
	note_own_address(fd, &a);
	ask(fd, t && t->is_unconnected ? t : NULL, start + (uint64_t)timeout_ms * 1000,
	    &a);
	a.took_us = world_now_us() - start;
	return a;
}

void probe_close(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

const char *answer_format(const struct answer *a, char buf[static ANSWER_TEXT_LEN])
{
	char backend[ADDR_TEXT_LEN], source[ADDR_TEXT_LEN];

	switch (a->outcome) {
	case PROBE_ANSWERED:
		(void)snprintf(buf, ANSWER_TEXT_LEN, "answered by %s:%u seeing %s",
			       world_name(&a->backend, backend), a->backend_port,
			       world_name(&a->source, source));
		break;
	case PROBE_REFUSED:
		(void)snprintf(buf, ANSWER_TEXT_LEN, "refused by %s after %lu us",
			       a->by_icmp ? "icmp" : "reset", (unsigned long)a->took_us);
		break;
	case PROBE_SILENT:
		(void)snprintf(buf, ANSWER_TEXT_LEN, "silent");
		break;
	case PROBE_FAILED:
		(void)snprintf(buf, ANSWER_TEXT_LEN, "failed: %s", strerror(a->err));
		break;
	}
	return buf;
}
