#include "proxy/relay/relay_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/relay/relay_header.h"

#define MAX_HOLDING 1024 /* of a worker */
#define MAX_PIECES  4	 /* of one socket in a row */

/* Without these options there are more segments, or later ones: no more than that. */
static void set_tcp_option(int fd, int name, int value)
{
	(void)setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value));
}

/* ---- events ---- */

int relay_conn_watch(struct relay_conn *c, struct relay_side *side, bool is_reader,
		     bool is_writer)
{
	struct relay_worker *w = c->worker;
	uint32_t events = EPOLLRDHUP | EPOLLET;

	if (is_reader)
		events |= EPOLLIN | EPOLLPRI;
	if (is_writer)
		events |= EPOLLOUT;
	side->has_in = is_reader;
	side->has_out = is_writer;
	if (side->io.slot)
		return relay_poll_again(&w->poll, w->mover.calls, &side->io, events);
	side->io.fn = relay_conn_event;
	return relay_poll_add(&w->poll, w->mover.calls, &side->io, events);
}

/* ---- the end ---- */

static void end_side(struct relay_conn *c, struct relay_side *side)
{
	relay_poll_forget(&c->worker->poll, &side->io);
	if (side->io.fd >= 0)
		(void)c->worker->mover.calls->close(side->io.fd);
	side->io.fd = -1;
	relay_side_discard(&c->worker->mover, side);
}

static void end(struct relay_conn *c)
{
	struct relay_worker *w = c->worker;
	struct relay_account *account = c->service->account;

	end_side(c, &c->client);
	end_side(c, &c->server);
	LIST_REMOVE(c, in_state);
	LIST_INSERT_HEAD(&w->closed, c, in_state);
	if (c->is_holding)
		w->n_holding--;
	relay_conn_count(c, RELAY_UP, c->client.n_read);
	relay_conn_count(c, RELAY_DOWN, c->server.n_read);
	if (c->is_relaying)
		relay_unload(&c->endpoint->load, c->client.n_read, c->server.n_read);
	relay_unload(&account->load, c->client.n_read, c->server.n_read);
	(void)__atomic_sub_fetch(&w->n_conns, 1, __ATOMIC_RELAXED);
	relay_limit_give_conn(w->shared->limit);
}

static void set_reset(int fd)
{
	const struct linger reset = {.l_onoff = 1};

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void relay_conn_reset(struct relay_conn *c)
{
	set_reset(c->client.io.fd);
	set_reset(c->server.io.fd);
	end(c);
}

void relay_conn_close(struct relay_conn *c)
{
	end(c);
}

void relay_conn_free(struct relay_conn *c)
{
	relay_service_unref(c->service);
	relay_endpoint_unref(c->endpoint);
	free(c);
}

/* ---- relaying ---- */

/*
 * While its bytes wait, a socket's new bytes are not reported: each segment of a fast
 * sender would wake the worker. False: the connection is over.
 */
static bool watch_wanted(struct relay_conn *c, struct relay_side *self,
			 const struct relay_side *other)
{
	bool is_reader = !relay_side_is_blocked(self),
	     is_writer = self->has_out || relay_side_is_blocked(other);

	if (self->io.slot && self->has_in == is_reader && self->has_out == is_writer)
		return true;
	if (relay_conn_watch(c, self, is_reader, is_writer) == 0)
		return true;
	relay_conn_reset(c);
	return false;
}

/* Passes the end of one direction on. The last end is what close() says. */
static void settle(struct relay_conn *c)
{
	struct relay_side *sides[] = {&c->client, &c->server};

	if (relay_side_is_done(&c->client) && relay_side_is_done(&c->server)) {
		relay_conn_close(c);
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct relay_side *from = sides[i], *to = sides[1 - i];

		if (!relay_side_is_done(from) || to->is_shut)
			continue;
		to->is_shut = true;
		if (c->worker->mover.calls->shutdown(to->io.fd, SHUT_WR) == -1) {
			relay_conn_reset(c);
			return;
		}
	}
	for (int i = 0; i < 2; i++)
		if (!watch_wanted(c, sides[i], sides[1 - i]))
			return;
}

static bool is_untouched(const struct relay_conn *c)
{
	return c->client.n_read == 0 && c->server.n_read == 0;
}

static void count_bytes(struct relay_conn *c, enum relay_direction direction, uint64_t n)
{
	if (!n)
		return;
	relay_count(&c->service->account->load.n_bytes[direction], n);
	relay_count(&c->endpoint->load.n_bytes[direction], n);
}

/* Some connections do not need it: the first segment leaves without it, as does the end. */
static void need_nodelay(struct relay_conn *c)
{
	if (!c->server.has_nodelay)
		set_tcp_option(c->server.io.fd, TCP_NODELAY, 1);
	c->server.has_nodelay = true;
}

/* False: the connection is over, or has another endpoint now. */
static bool move(struct relay_conn *c, struct relay_side *from,
		 const struct relay_side *to)
{
	uint64_t before = from->n_read;
	int err;

	if (from == &c->client && before && !from->has_fin)
		need_nodelay(c);
	err = relay_move(&c->worker->mover, from, to);
	count_bytes(c, from == &c->client ? RELAY_IN : RELAY_OUT, from->n_read - before);
	if (!err)
		return true;
	if (from == &c->server && is_untouched(c))
		relay_connect_lost(c);
	else
		relay_conn_reset(c);
	return false;
}

/*
 * As many pieces as one connection may move in a row; the set reports the rest again.
 * False as in move().
 */
static bool move_all(struct relay_conn *c, struct relay_side *from,
		     const struct relay_side *to)
{
	for (int i = 0; i < MAX_PIECES; i++) {
		if (!move(c, from, to))
			return false;
		if (!relay_side_is_readable(from))
			return true;
	}
	if (!from->io.slot || relay_conn_watch(c, from, true, from->has_out) == 0)
		return true;
	relay_conn_reset(c);
	return false;
}

static void note_events(struct relay_side *side, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->can_read = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->is_ending = true;
	side->has_fin = (events & EPOLLRDHUP) && !(events & EPOLLERR);
	if (events & EPOLLPRI)
		side->is_urgent = true;
}

static void relay_events(struct relay_conn *c, struct relay_side *self,
			 struct relay_side *other, uint32_t events)
{
	if (relay_side_is_readable(self) && !move_all(c, self, other))
		return;
	/* a reset that no read returns */
	if ((events & EPOLLERR) && !relay_side_is_readable(self)) {
		relay_conn_reset(c);
		return;
	}
	if ((events & EPOLLOUT) && relay_side_is_blocked(other) &&
	    !move_all(c, other, self))
		return;
	settle(c);
}

void relay_conn_event(struct relay_watch *watch, uint32_t events)
{
	struct relay_side *side = container_of(watch, struct relay_side, io);
	struct relay_conn *c = side->is_server
				       ? container_of(side, struct relay_conn, server)
				       : container_of(side, struct relay_conn, client);

	note_events(side, events);
	if (c->is_relaying)
		relay_events(c, side, side->is_server ? &c->client : &c->server, events);
	else if (side->is_server && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		relay_connect_ready(c, (events & (EPOLLERR | EPOLLHUP)) != 0);
}

/* An empty socket takes that much. */
static int send_header(const struct relay_conn *c, uint8_t version)
{
	uint8_t header[RELAY_HEADER_LEN];
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof(sa);
	struct addr own;
	uint16_t port;
	size_t len;
	ssize_t sent;

	/* the frontend may be at all node addresses */
	if (getsockname(c->client.io.fd, (struct sockaddr *)&sa, &sa_len) == -1 ||
	    addr_from_sockaddr((const struct sockaddr *)&sa, &own, &port) != 0)
		return -EPIPE;
	len = relay_header_write(version, &c->peer, c->peer_port, &own, port, header);
	sent = send(c->server.io.fd, header, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sent == (ssize_t)len ? 0 : -EPIPE;
}

void relay_conn_relay(struct relay_conn *c)
{
	uint8_t version = c->service->service->options.proxy_protocol;

	c->is_relaying = true;
	relay_count(&c->endpoint->load.n, 1);
	LIST_REMOVE(c, in_state);
	LIST_INSERT_HEAD(&c->worker->relaying, c, in_state);
	if (version) {
		need_nodelay(c);
		if (send_header(c, version) != 0) {
			relay_connect_lost(c);
			return;
		}
	}
	/* mostly the client's request is there, and the ACK of the handshake rides on it */
	if (!move_all(c, &c->client, &c->server))
		return;
	if (c->client.n_read == 0)
		set_tcp_option(c->server.io.fd, TCP_QUICKACK, 1);
	/* what was reported while it was not relaying is not reported again */
	if (relay_side_is_readable(&c->server) && !move_all(c, &c->server, &c->client))
		return;
	settle(c);
}

/* ---- the start ---- */

static bool has_filter(const struct frontend *f)
{
	for (int class = 0; class < CLIENT_N; class ++)
		if (f->from[class].action == ACTION_DROP)
			return true;
	return f->is_limited;
}

static const struct decision *decide(const struct relay_conn *c)
{
	unsigned ifindex = 0;

	if (relay_search_needs_class(c->frontend))
		ifindex =
			relay_class_ifindex(c->client.io.fd, c->service->service->family);
	return relay_search_decide(c->service, c->frontend, &c->peer, ifindex);
}

static bool hold(struct relay_conn *c)
{
	struct relay_worker *w = c->worker;
	uint32_t hold_ms = service_times(c->service->service)->hold_ms;

	if (!hold_ms || (!c->is_holding && w->n_holding == MAX_HOLDING))
		return false;
	if (c->is_holding)
		return true;
	c->is_holding = true;
	c->deadline_ms = c->since_ms + hold_ms;
	w->n_holding++;
	LIST_REMOVE(c, in_state);
	LIST_INSERT_HEAD(&w->holding, c, in_state);
	relay_worker_need_tick(w);
	return true;
}

static void stop_holding(struct relay_conn *c)
{
	if (!c->is_holding)
		return;
	c->is_holding = false;
	c->worker->n_holding--;
	c->since_ms = relay_now_ms();
	LIST_REMOVE(c, in_state);
	LIST_INSERT_HEAD(&c->worker->connecting, c, in_state);
}

static void start(struct relay_conn *c)
{
	const struct decision *d = decide(c);

	switch ((enum action)d->action) {
	case ACTION_BALANCE:
		stop_holding(c);
		c->pool = d->pool;
		relay_connect_start(c);
		return;
	case ACTION_REJECT:
		if (hold(c))
			return;
		relay_conn_count(c, RELAY_FAILED, 1);
		relay_conn_reset(c);
		return;
	case ACTION_DROP: /* what the filter could not see */
		relay_conn_reset(c);
		return;
	}
}

void relay_connect_retarget(struct relay_conn *c, struct relay_service *service,
			    const struct frontend *frontend)
{
	relay_service_unref(c->service);
	c->service = relay_service_ref(service);
	c->frontend = frontend;
	start(c);
}

static struct relay_conn *make(struct relay_worker *w, int fd,
			       const struct sockaddr *peer, struct relay_service *service,
			       const struct frontend *frontend)
{
	struct relay_conn *c = xcalloc(1, sizeof(*c));
	int unused = 0;

	c->worker = w;
	c->service = relay_service_ref(service);
	c->frontend = frontend;
	relay_side_init(&c->client, fd, false);
	c->client.can_read = true; /* it is not watched until the endpoint has accepted */
	relay_side_init(&c->server, -1, true);
	c->since_ms = relay_now_ms();
	(void)addr_from_sockaddr(peer, &c->peer,
				 &c->peer_port); /* TCP has these two families */
	LIST_INSERT_HEAD(&w->connecting, c, in_state);
	(void)__atomic_add_fetch(&w->n_conns, 1, __ATOMIC_RELAXED);
	relay_count(&service->account->load.n, 1);
	if (has_filter(frontend)) /* it was inherited */
		(void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused,
				 sizeof(unused));
	return c;
}

void relay_conn_accept(struct relay_worker *w, int fd, const struct sockaddr *peer,
		       struct relay_service *service, const struct frontend *frontend)
{
	struct relay_conn *c = make(w, fd, peer, service, frontend);

	relay_conn_count(c, RELAY_CONNECTIONS, 1);
	start(c);
}

void relay_conn_continue(struct relay_worker *w, int fd, const struct sockaddr *peer,
			 struct relay_service *service, const struct frontend *frontend,
			 uint64_t since_ms)
{
	struct relay_conn *c = make(w, fd, peer, service, frontend);

	c->since_ms = since_ms;
	if (!hold(c)) /* its Service has no such option any more */
		c->since_ms = relay_now_ms();
	start(c);
}
