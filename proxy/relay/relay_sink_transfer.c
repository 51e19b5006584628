/*
 * UDP flows and clients that wait for an endpoint, from the workers of one process to
 * those of the next: over the connection of a hand-over, or through a pair of
 * sockets one of which the service manager keeps with all that was written to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/relay/relay_sink_private.h"
#include "proxy/relay/relay_transfer.h"

#define MAX_WAIT_SEC 5.
#define MAX_MESSAGES 64		/* in one event */
#define BUFFER_LEN   (64 << 20) /* of messages, until the next process reads them */
#define STORED_NAME  "transfer"

static void send_all(struct relay_sink *r)
{
	for (unsigned i = 0; i < r->shared.n_workers; i++)
		relay_worker_send(r->shared.workers[i], &r->outbox.of_worker[i]);
}

/* ---- the old process ---- */

void relay_sink_pass(struct relay_sink *r, int fd)
{
	struct relay_listener *l;

	for (unsigned i = 0; i < r->shared.n_workers; i++) {
		struct relay_message *m = relay_message_new(RELAY_SURRENDER, NULL);

		m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		STAILQ_INSERT_TAIL(&r->outbox.of_worker[i], m, next);
	}
	(void)close(fd);
	for (size_t i = 0; (l = hash_next(&r->listeners, &i));) {
		(void)hash_del(&r->listeners, &l->key);
		relay_listener_leave(l, &r->outbox);
	}
	send_all(r);
}

bool relay_sink_store_transfer(struct relay_sink *r)
{
	int len = BUFFER_LEN, fds[2];
	bool is_stored;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) ==
	    -1) {
		log_warn("userspace: UDP flows and waiting clients end: %s",
			 strerror(errno));
		return false;
	}
	/* without the right the buffer is smaller, and some of them end */
	if (setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &len, sizeof(len)) == -1)
		(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &len, sizeof(len));
	is_stored = r->params.store->put(STORED_NAME, &fds[1], 1) == 0;
	if (is_stored)
		relay_sink_pass(r, fds[0]);
	else
		(void)close(fds[0]);
	(void)close(fds[1]);
	return is_stored;
}

/* ---- the new process ---- */

static struct relay_ear *find_ear(const struct relay_sink *r, int fd,
				  const struct relay_transfer_record *record)
{
	struct relay_listener_key key = {.addr = record->frontend,
					 .port = record->frontend_port};
	const struct relay_listener *l;
	int proto = 0;
	socklen_t len = sizeof(proto);

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len) == -1)
		return NULL;
	key.proto = (uint8_t)proto;
	l = hash_find(&r->listeners, &key);
	if (l && proto == IPPROTO_TCP)
		return l->ears[r->n_transferred % l->n_ears];
	for (unsigned i = 0; l && i < l->n_ears; i++)
		if (relay_transfer_cookie(l->ears[i]->io.fd) == record->cookie)
			return l->ears[i];
	return NULL;
}

static void take(void *data, int fd, const struct relay_transfer_record *record)
{
	struct relay_sink *r = data;
	struct relay_ear *ear = find_ear(r, fd, record);
	struct relay_message *m;

	if (!ear) {
		(void)close(fd);
		return;
	}
	m = relay_message_new(RELAY_ADOPT, ear);
	m->fd = fd;
	m->record = xcalloc(1, sizeof(*m->record));
	*m->record = *record;
	relay_outbox_add(&r->outbox, ear->worker, m);
	r->n_transferred++;
}

static void finish(struct relay_sink *r)
{
	relay_sink_stop_transfer(r);
	if (r->n_transferred)
		log_info("userspace: %zu UDP flows and waiting clients continue in this "
			 "process",
			 r->n_transferred);
	for (unsigned i = 0; i < r->shared.n_workers; i++)
		relay_outbox_add(&r->outbox, r->shared.workers[i],
				 relay_message_new(RELAY_RESUME, NULL));
	send_all(r);
}

static void on_transfer(struct ev_loop *loop, ev_io *io, int revents)
{
	struct relay_sink *r = io->data;
	int err = 0;

	for (int i = 0; i < MAX_MESSAGES && !err; i++)
		err = relay_transfer_read(io->fd, take, r);
	send_all(r);
	if (!err || err == -EAGAIN)
		return;
	if (err != -ECONNRESET)
		log_warn("userspace: cannot read UDP flows and waiting clients of the "
			 "process before this one: %s",
			 err == -EBADMSG ? "a message is damaged" : strerror(-err));
	finish(r);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	log_warn("userspace: the process before this one does not send its UDP flows and "
		 "waiting clients; they end");
	finish(timer->data);
}

void relay_sink_start_transfer(struct relay_sink *r, int fd)
{
	r->shared.has_predecessor = false;
	if (fd < 0) {
		finish(r);
		return;
	}
	(void)fcntl(fd, F_SETFL, O_NONBLOCK); /* a socket takes it */
	ev_io_init(&r->transfer, on_transfer, fd, EV_READ);
	r->transfer.data = r;
	ev_io_start(r->params.loop, &r->transfer);
	ev_timer_init(&r->transfer_limit, on_timeout, MAX_WAIT_SEC, 0.);
	r->transfer_limit.data = r;
	ev_timer_start(r->params.loop, &r->transfer_limit);
}

void relay_sink_stop_transfer(struct relay_sink *r)
{
	if (!ev_is_active(&r->transfer))
		return;
	ev_io_stop(r->params.loop, &r->transfer);
	ev_timer_stop(r->params.loop, &r->transfer_limit);
	(void)close(r->transfer.fd);
	if (r->params.store)
		(void)r->params.store->remove(STORED_NAME); /* it has been read */
}
