#include "tests/unit/relay_script.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/cleanup.h"
#include "proxy/relay/relay_conn.h"
#include "tests/unit/relay_made.h"

#define N_ENDPOINTS 3
#define FIRST_FD    100000 /* no descriptor of this process */
#define MAX_FDS	    512
#define CLIENT	    FIRST_FD
#define PIPE_MAX    (1 << 20)
#define MAX_EVENTS  1000 /* until a connection ends to which the kernel says yes */

/* Bytes from one socket to the other one. */
struct stream {
	size_t n_read, n_written;
	bool has_ended, is_shut;
	bool has_fin; /* its end was reported: that many bytes are left */
	size_t n_left;
	bool is_urgent; /* the next read stops before the last one of them */
	bool is_held;	/* the last bytes leave with the end */
};

struct fake {
	const uint8_t *script;
	size_t len;
	bool is_agreeable; /* the script is over: every call succeeds, and bytes end */
	bool has_failed;   /* a socket reported an error */
	int n_fds;
	bool is_open[MAX_FDS];
	uint32_t watched[MAX_FDS]; /* these events; 0: it is not in the set */
	size_t pipe_len[MAX_FDS];  /* at the number of its reading end */
	struct stream up, down;	   /* from the client, and to it */
};

static struct fake k;

static unsigned next(unsigned n)
{
	if (!k.len)
		return 0;
	k.len--;
	return *k.script++ % n;
}

static int fail(int err)
{
	errno = err;
	return -1;
}

static int open_fd(void)
{
	assert(k.n_fds < MAX_FDS);
	k.is_open[k.n_fds] = true;
	return FIRST_FD + k.n_fds++;
}

static void assert_open(int fd)
{
	assert(fd >= FIRST_FD && fd < FIRST_FD + k.n_fds && k.is_open[fd - FIRST_FD]);
}

static char byte_at(const struct stream *s, size_t at)
{
	return (char)((at * 2654435761u >> 7) + (s == &k.up ? 1 : 2));
}

static struct stream *from(int fd)
{
	assert_open(fd);
	return fd == CLIENT ? &k.up : &k.down;
}

static struct stream *to(int fd)
{
	assert_open(fd);
	return fd == CLIENT ? &k.down : &k.up;
}

static const size_t lens[] = {1, 100, 8191, 8192, 65535, 65536, SIZE_MAX};

/* How much of len a call moves; 0: nothing now, -1 with errno. */
static ssize_t amount(size_t len)
{
	unsigned choice = k.is_agreeable ? 6 : next(9);

	if (choice == 7)
		return fail(EAGAIN);
	if (choice == 8 && next(8) == 0) {
		k.has_failed = true;
		return fail(ECONNRESET);
	}
	choice = choice == 8 ? 6 : choice;
	return (ssize_t)(lens[choice] < len ? lens[choice] : len);
}

/* The kernel has all bytes up to the end. A read stops at an urgent byte. */
static ssize_t last_available(struct stream *s, size_t len)
{
	size_t n = len < s->n_left ? len : s->n_left;

	if (s->is_urgent && n > 1)
		n = 1 + next((unsigned)n);
	s->is_urgent = false;
	s->n_left -= n;
	s->has_ended = s->n_left == 0;
	return (ssize_t)n;
}

static void report_end(struct stream *s)
{
	if (!s->has_fin && !s->has_ended)
		s->n_left = lens[next(N_ELEMENTS(lens) - 1)];
	s->has_fin = true;
}

/* The same for a socket that is read: 0 is its end. */
static ssize_t available(struct stream *s, size_t len)
{
	ssize_t n;

	if (s->has_fin)
		return last_available(s, len);
	if (s->has_ended || k.is_agreeable || next(16) == 15) {
		s->has_ended = true;
		return 0;
	}
	n = amount(len);
	if (n == -1 && errno == EAGAIN)
		s->is_urgent = false; /* that byte was read, too */
	return n;
}

/* ---- calls ---- */

static int fake_socket(int domain, int type, int protocol)
{
	assert(k.up.n_read == 0 && k.down.n_read == 0); /* else bytes would be lost */
	k.down = (struct stream){0};
	k.up.is_shut = k.up.is_held = false;
	if (!k.is_agreeable && next(16) == 15)
		return fail(EMFILE);
	return open_fd();
}

static int fake_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	static const int results[] = {EINPROGRESS, 0, ECONNREFUSED, EADDRNOTAVAIL};
	int err = results[k.is_agreeable ? 0 : next(4)];

	assert_open(fd);
	return err ? fail(err) : 0;
}

static int fake_shutdown(int fd, int how)
{
	struct stream *s = to(fd);

	assert(how == SHUT_WR && s->has_ended && !s->is_shut);
	assert(s->n_written == s->n_read);
	s->is_shut = true;
	return 0;
}

static int fake_close(int fd)
{
	assert_open(fd);
	k.is_open[fd - FIRST_FD] = false;
	return 0;
}

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags)
{
	struct stream *s = from(fd);
	ssize_t n;

	/* nothing more is read until the bytes that wait are gone */
	assert(s->n_read == s->n_written);
	n = available(s, len);
	for (ssize_t i = 0; i < n; i++)
		((char *)buf)[i] = byte_at(s, s->n_read++);
	return n;
}

static ssize_t fake_send(int fd, const void *buf, size_t len, int flags)
{
	struct stream *s = to(fd);
	ssize_t n = amount(len);

	assert(!s->is_shut && len > 0);
	s->is_held = flags & MSG_MORE;
	assert(!s->is_held || s->has_ended);
	for (ssize_t i = 0; i < n; i++)
		assert(((const char *)buf)[i] == byte_at(s, s->n_written++));
	assert(s->n_written <= s->n_read);
	return n;
}

/* A pipe has the next number at its other end. */
static ssize_t fake_splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t len,
			   unsigned flags)
{
	bool is_read = in == CLIENT || k.pipe_len[in - FIRST_FD] == 0;
	size_t *pipe_len = &k.pipe_len[(is_read ? out - 1 : in) - FIRST_FD];
	struct stream *s = is_read ? from(in) : to(out);
	ssize_t n = is_read ? available(s, len < PIPE_MAX ? len : PIPE_MAX) : amount(len);

	assert_open(in);
	assert_open(out);
	if (n <= 0)
		return n;
	if (is_read) {
		/* earlier bytes of this direction are not elsewhere */
		assert(*pipe_len == 0 && s->n_read == s->n_written);
		*pipe_len = (size_t)n;
		s->n_read += (size_t)n;
	} else {
		assert(len == *pipe_len && !s->is_shut);
		*pipe_len -= (size_t)n;
		s->n_written += (size_t)n;
	}
	return n;
}

static int fake_pipe2(int fds[2], int flags)
{
	if (!k.is_agreeable && next(4) == 3)
		return fail(EMFILE);
	fds[0] = open_fd();
	fds[1] = open_fd();
	k.pipe_len[fds[0] - FIRST_FD] = 0;
	return 0;
}

static int fake_epoll_ctl(int set, int what, int fd, struct epoll_event *event)
{
	uint32_t *watched = &k.watched[fd - FIRST_FD];

	assert_open(fd);
	assert((*watched != 0) == (what == EPOLL_CTL_MOD) && (event->events & EPOLLET));
	if (!k.is_agreeable && what == EPOLL_CTL_ADD && next(16) == 15) {
		k.has_failed |= fd == CLIENT;
		return fail(ENOMEM);
	}
	*watched = event->events;
	return 0;
}

static const struct relay_calls calls = {
	.socket = fake_socket,
	.connect = fake_connect,
	.shutdown = fake_shutdown,
	.close = fake_close,
	.recv = fake_recv,
	.send = fake_send,
	.splice = fake_splice,
	.pipe2 = fake_pipe2,
	.epoll_ctl = fake_epoll_ctl,
};

/* ---- a worker without a thread ---- */

static struct relay_worker w;
static struct relay_limit limit;
static struct relay_shared shared = {.limit = &limit};

static void start_worker(void)
{
	if (!w.shared) /* it never runs: events are those of the script */
		relay_limit_init(&limit, 1);
	memset(&w.aside, 0, sizeof(w.aside));
	w.shared = &shared;
	w.random = 1;
	w.mover.calls = &calls;
}

static uint32_t watched_events(const struct relay_side *s)
{
	return s->io.slot ? k.watched[s->io.fd - FIRST_FD] : 0;
}

/* Reports those events of a socket that are watched; an error always is. */
static void report(struct relay_side *s, uint32_t events)
{
	events &= watched_events(s) | EPOLLERR | EPOLLHUP;
	if (!watched_events(s) || !events)
		return;
	k.has_failed |= (events & EPOLLERR) != 0;
	if (events & EPOLLRDHUP)
		report_end(from(s->io.fd));
	if (events & EPOLLPRI)
		from(s->io.fd)->is_urgent = true;
	relay_conn_event(&s->io, events);
}

static bool is_closed(const struct relay_conn *c)
{
	return LIST_FIRST(&w.closed) == c;
}

/* Bytes that the kernel holds back are followed by the end, or by more bytes. */
static void check_held(const struct stream *s)
{
	assert(!s->is_held || s->is_shut || s->n_written < s->n_read);
}

static void check(const struct relay_conn *c)
{
	const struct relay_side *sides[] = {&c->client, &c->server};

	for (int i = 0; i < 2; i++) {
		const struct relay_side *s = sides[i];
		uint32_t events = watched_events(s);
		bool is_blocked = relay_side_is_blocked(s);

		assert(!s->kept || !s->pipe);
		assert(!s->kept || s->kept_at < s->kept_len);
		assert(!s->pipe || s->pipe->len > 0);
		/* it is reported when there is room for the bytes that wait */
		assert(!is_blocked || (watched_events(sides[1 - i]) & EPOLLOUT));
		/* until then new bytes would wake the worker for nothing */
		if (events)
			assert((events & EPOLLRDHUP) &&
			       !(events & EPOLLIN) == is_blocked);
	}
	check_held(&k.up);
	check_held(&k.down);
}

static void step(struct relay_conn *c)
{
	unsigned what = k.is_agreeable ? 2 : next(8);

	switch (what) {
	case 0:
		report(&c->client, EPOLLIN);
		break;
	case 1:
		report(&c->client, EPOLLOUT | (next(2) ? EPOLLRDHUP : 0));
		break;
	case 2:
		report(&c->client, EPOLLIN | EPOLLOUT);
		if (!is_closed(c))
			report(&c->server, EPOLLIN | EPOLLOUT);
		break;
	case 3:
		report(&c->server, EPOLLIN | (next(2) ? EPOLLPRI : 0) |
					   (next(4) == 3 ? EPOLLRDHUP : 0));
		break;
	case 4:
		report(&c->server, EPOLLOUT);
		break;
	case 5:
		report(next(2) ? &c->client : &c->server,
		       next(4) ? EPOLLHUP : EPOLLHUP | EPOLLERR);
		break;
	case 6:
		if (!c->is_relaying)
			relay_connect_expire(c);
		break;
	case 7:
		report(&c->server, EPOLLIN | EPOLLOUT);
		break;
	}
}

static void run(struct relay_conn *c)
{
	int n_left = MAX_EVENTS;

	while (!is_closed(c)) {
		k.is_agreeable = !k.len;
		step(c);
		if (is_closed(c))
			break;
		check(c);
		/* it waits for a descriptor, and there is room now */
		if (k.is_agreeable && !c->is_relaying && c->server.io.fd < 0)
			relay_connect_expire(c);
		assert(!k.is_agreeable || n_left-- > 0);
	}
}

static void assert_whole(const struct stream *s)
{
	assert(k.has_failed || (s->n_written == s->n_read && s->has_ended));
}

void relay_script_run(const uint8_t *script, size_t len)
{
	struct relay_service *service = relay_made_service(N_ENDPOINTS, 1000);
	const struct sockaddr_in peer = {.sin_family = AF_INET};
	struct relay_conn *c;
	bool is_relayed;

	memset(&k, 0, sizeof(k));
	k.script = script;
	k.len = len;
	start_worker();
	assert(relay_limit_take_conn(&limit));
	assert(open_fd() == CLIENT);
	relay_conn_accept(&w, CLIENT, (const struct sockaddr *)&peer, service,
			  service_frontends(service->service));
	c = LIST_FIRST(&w.connecting) ? LIST_FIRST(&w.connecting) : LIST_FIRST(&w.closed);
	c = c ? c : LIST_FIRST(&w.relaying);
	run(c);
	is_relayed = c->is_relaying;
	LIST_REMOVE(c, in_state);
	relay_conn_free(c);
	relay_service_unref(service);
	relay_pipes_fini(&w.mover.pipes, &calls);
	if (is_relayed) {
		assert_whole(&k.up);
		assert_whole(&k.down);
	}
	for (int i = 0; i < k.n_fds; i++)
		assert(!k.is_open[i]);
	assert(w.n_conns == 0 && limit.n_conns == 0 && w.mover.pipes.n == 0);
}
