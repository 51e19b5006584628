/*
 * Both ends run as the same user or as root: the kernel's credentials of the peer
 * decide.  Lengths, kinds and numbers of descriptors are checked all the same.
 */
#include "proxy/relay/relay_handover.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/relay/relay_inheritance.h"
#include "proxy/relay/relay_rights.h"

#define VERSION	    1
#define TIMEOUT_SEC 5
#define MAX_SOCKETS (1u << 20)

#define ACCEPT_PAUSE_SEC 1. /* when descriptors are short */

static const char magic[8] = "sluiceHO";

enum kind { TAKE = 1, SOCKETS, STATE, END, READY };

struct message {
	char magic[8];
	uint32_t version, kind;
	uint64_t n; /* of END: all descriptors */
};

struct relay_handover {
	struct ev_loop *loop;
	struct relay_handover_hooks hooks;
	char *path;
	int listen_fd, peer_fd;
	pid_t peer;
	ev_io listening, reading;
	ev_timer pause;		   /* descriptors are short */
	int fds[RELAY_RIGHTS_MAX]; /* not sent yet */
	size_t n_fds;
	uint64_t n_sent;
	int err; /* of sending */
	bool is_answered, is_done;
};

static const struct timeval timeout = {.tv_sec = TIMEOUT_SEC};

static bool is_trusted(int fd, pid_t *ret_pid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	*ret_pid = 0; /* not known */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return false;
	*ret_pid = peer.pid;
	return peer.uid == 0 || peer.uid == geteuid();
}

static int send_message(int fd, enum kind kind, uint64_t n, const int *fds, size_t n_fds)
{
	struct message m = {.version = VERSION, .kind = kind, .n = n};

	memcpy(m.magic, magic, sizeof(magic));
	return relay_rights_send(fd, &(struct iovec){&m, sizeof(m)}, 1, fds, n_fds);
}

/* ---- reading ---- */

struct received {
	struct message m;
	struct relay_rights rights;
};

/* 0, -ECONNRESET at the end of the connection, -EBADMSG, or -errno. */
static int receive(int fd, struct received *ret)
{
	size_t len;
	int err = relay_rights_receive(fd, &(struct iovec){&ret->m, sizeof(ret->m)}, 1,
				       &ret->rights, &len);

	if (err)
		return err;
	if (len != sizeof(ret->m) || memcmp(ret->m.magic, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	return ret->m.version == VERSION ? 0 : -EPROTONOSUPPORT;
}

/* 0: more follows, 1: that was all, -errno. */
static int take_message(struct received *r, struct relay_inheritance *in, uint64_t *n)
{
	bool is_end = r->m.kind == END;

	if (is_end ? r->rights.n != 0 || r->m.n != *n : !r->rights.n)
		return -EBADMSG;
	if (is_end)
		return 1;
	if (r->m.kind != SOCKETS && (r->m.kind != STATE || r->rights.n != 1))
		return -EBADMSG;
	*n += r->rights.n;
	if (*n > MAX_SOCKETS)
		return -EMFILE;
	while (r->rights.n) {
		int err = relay_inheritance_add(in, r->rights.fds[--r->rights.n]);

		if (err)
			return err;
	}
	return 0;
}

static const char *reason(int err)
{
	switch (err) {
	case -EBADMSG:
		return "a message is damaged";
	case -EINVAL:
		return "a descriptor is not a listener";
	case -EXDEV:
		return "it serves another network namespace";
	case -EPROTONOSUPPORT:
		return "it has another version of the hand-over";
	case -ECONNRESET:
		return "it closed the connection";
	case -EACCES:
		return "it runs as another user";
	case -EAGAIN:
		return "it does not answer";
	default:
		return strerror(-err);
	}
}

int relay_handover_read(int fd, struct relay_inheritance *in, const char **ret_why)
{
	struct received r;
	uint64_t n = 0;
	int err;

	do {
		err = receive(fd, &r);
		if (!err)
			err = take_message(&r, in, &n);
		relay_rights_close(&r.rights);
	} while (!err);
	if (err > 0)
		return 0;
	*ret_why = reason(err);
	relay_inheritance_fini(in, NULL, NULL);
	return err;
}

static int unix_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

static int open_socket(int *ret_fd)
{
	*ret_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return *ret_fd == -1 ? -errno : 0;
}

static int connect_to(const char *path, int *ret_fd)
{
	_cleanup_(closep) int fd = -1;
	struct sockaddr_un sa;
	pid_t pid;
	int err = unix_address(path, &sa);

	if (!err)
		err = open_socket(&fd);
	if (err)
		return err;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == -1)
		return errno == ECONNREFUSED ? -ENOENT : -errno;
	if (!is_trusted(fd, &pid))
		return -EACCES;
	err = send_message(fd, TAKE, 0, NULL, 0);
	if (!err)
		*ret_fd = take_fd(fd);
	return err;
}

int relay_handover_take(const char *path, struct relay_inheritance *in, int *ret_fd,
			const char **ret_why)
{
	_cleanup_(closep) int fd = -1;
	int err = connect_to(path, &fd);

	if (err) {
		*ret_why = reason(err);
		return err;
	}
	err = relay_handover_read(fd, in, ret_why);
	if (!err)
		*ret_fd = take_fd(fd);
	return err;
}

int relay_handover_ready(int fd)
{
	return send_message(fd, READY, 0, NULL, 0);
}

/* ---- the old process ---- */

static void flush(struct relay_handover *h, enum kind kind)
{
	if (!h->err && h->n_fds)
		h->err = send_message(h->peer_fd, kind, 0, h->fds, h->n_fds);
	h->n_sent += h->n_fds;
	h->n_fds = 0;
}

void relay_handover_send_socket(struct relay_handover *h, int fd)
{
	h->fds[h->n_fds++] = fd;
	if (h->n_fds == RELAY_RIGHTS_MAX)
		flush(h, SOCKETS);
}

void relay_handover_send_state(struct relay_handover *h, int fd)
{
	flush(h, SOCKETS);
	h->fds[h->n_fds++] = fd;
	flush(h, STATE);
}

static void forget_peer(struct relay_handover *h)
{
	ev_io_stop(h->loop, &h->reading);
	h->peer_fd = -1;
}

static void drop_peer(struct relay_handover *h)
{
	int fd = h->peer_fd;

	forget_peer(h);
	closep(&fd);
}

static int answer(struct relay_handover *h)
{
	h->n_sent = 0;
	h->err = 0;
	h->hooks.send(h->hooks.data, h);
	flush(h, SOCKETS);
	if (!h->err)
		h->err = send_message(h->peer_fd, END, h->n_sent, NULL, 0);
	h->is_answered = !h->err;
	if (!h->err)
		log_info("userspace: sent %llu descriptors to the process that takes "
			 "over (pid %d)",
			 (unsigned long long)h->n_sent, (int)h->peer);
	return h->err;
}

static void on_message(struct ev_loop *loop, ev_io *io, int revents)
{
	struct relay_handover *h = io->data;
	struct received r;
	int err = receive(h->peer_fd, &r), fd;

	relay_rights_close(&r.rights); /* the new process sends none */
	if (!err && r.m.kind == TAKE) {
		err = answer(h);
	} else if (!err && r.m.kind == READY && h->is_answered) {
		fd = h->peer_fd;
		h->is_done = true;
		forget_peer(h);
		h->hooks.done(h->hooks.data, h->peer, fd);
		return;
	} else if (!err) {
		err = -EBADMSG;
	}
	if (!err)
		return;
	log_warn("userspace: hand-over to pid %d: %s; this process continues",
		 (int)h->peer, reason(err));
	drop_peer(h);
}

static void on_peer(struct ev_loop *loop, ev_io *io, int revents)
{
	struct relay_handover *h = io->data;
	_cleanup_(closep) int fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	pid_t pid;

	if (fd < 0 && errno != EINTR && errno != EAGAIN) {
		/* it keeps waiting, and would wake the loop again immediately */
		ev_io_stop(loop, io);
		ev_timer_again(loop, &h->pause);
	}
	if (fd < 0)
		return;
	if (!is_trusted(fd, &pid) || h->peer_fd >= 0) {
		log_warn("userspace: hand-over to pid %d: %s", (int)pid,
			 h->peer_fd >= 0 ? "another one has started" : reason(-EACCES));
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	h->is_answered = false;
	h->peer = pid;
	h->peer_fd = take_fd(fd);
	ev_io_init(&h->reading, on_message, h->peer_fd, EV_READ);
	h->reading.data = h;
	ev_io_start(loop, &h->reading);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct relay_handover *h = timer->data;

	ev_timer_stop(loop, timer);
	ev_io_start(loop, &h->listening);
}

/* Under another name first, so that the path always leads to a socket that answers. */
static int listen_at(const char *path, int *ret_fd)
{
	_cleanup_(freep) char *name = xasprintf("%s.%d", path, (int)getpid());
	_cleanup_(closep) int fd = -1;
	struct sockaddr_un sa;
	int err = unix_address(name, &sa);
	mode_t mask;

	if (!err)
		err = open_socket(&fd);
	if (err)
		return err;
	(void)unlink(name); /* of an earlier process with this number */
	mask = umask(0177); /* it has its mode from the first moment on */
	err = bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == -1 ? -errno : 0;
	(void)umask(mask);
	if (!err && listen(fd, 1) == -1)
		err = -errno;
	if (!err && rename(name, path) == -1)
		err = -errno;
	if (err)
		(void)unlink(name);
	else
		*ret_fd = take_fd(fd);
	return err;
}

int relay_handover_new(struct ev_loop *loop, const char *path,
		       const struct relay_handover_hooks *hooks,
		       struct relay_handover **ret)
{
	struct relay_handover *h;
	int fd, err = listen_at(path, &fd);

	if (err)
		return err;
	h = xcalloc(1, sizeof(*h));
	h->loop = loop;
	h->hooks = *hooks;
	h->path = xstrdup(path);
	h->listen_fd = fd;
	h->peer_fd = -1;
	ev_io_init(&h->listening, on_peer, fd, EV_READ);
	ev_timer_init(&h->pause, on_pause_over, 0., ACCEPT_PAUSE_SEC);
	h->listening.data = h->pause.data = h;
	ev_io_start(loop, &h->listening);
	*ret = h;
	return 0;
}

void relay_handover_free(struct relay_handover *h)
{
	if (!h)
		return;
	ev_io_stop(h->loop, &h->listening);
	ev_timer_stop(h->loop, &h->pause);
	drop_peer(h);
	(void)close(h->listen_fd);
	if (!h->is_done)
		(void)unlink(h->path);
	free(h->path);
	free(h);
}
