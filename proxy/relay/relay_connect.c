/*
 * Until the first byte nothing has to be repeated: the client's bytes wait in its
 * socket.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "proxy/relay/relay_conn.h"

#define ALL_CONNECT_MS 30000 /* to all of them */
#define MAX_TRIES      64    /* in one turn of the loop */
#define SHORTAGE_MS    100   /* until the next try without descriptors */

static void set_options(int fd)
{
	int one = 1, zero = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	/* an urgent byte would vanish otherwise */
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	/* so that the ACK of the handshake rides on the request */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof(zero));
}

static int open_socket(const struct relay_calls *calls, const struct endpoint *e,
		       int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&e->addr, e->port, &sa);
	int fd = calls->socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			       0);

	if (fd == -1)
		return -errno;
	set_options(fd);
	if (calls->connect(fd, (const struct sockaddr *)&sa, len) == -1 &&
	    errno != EINPROGRESS) {
		int err = -errno;

		(void)calls->close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static void use_endpoint(struct relay_conn *c, uint32_t i)
{
	relay_endpoint_unref(c->endpoint);
	c->endpoint = relay_endpoint_ref(c->service->endpoints[i]);
}

static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

static void wait_for(struct relay_conn *c, uint64_t ms)
{
	c->deadline_ms = relay_now_ms() + ms;
	relay_worker_need_tick(c->worker);
}

static void forget_server(struct relay_conn *c)
{
	relay_poll_forget(&c->worker->poll, &c->server.io);
	(void)c->worker->mover.calls->close(c->server.io.fd);
	relay_side_init(&c->server, -1, true);
}

/* 0: it has a connection under way. */
static int try_endpoint(struct relay_conn *c, uint32_t i)
{
	const struct endpoint *e = &service_endpoints(c->service->service)[i];
	int fd = -1, err = open_socket(c->worker->mover.calls, e, &fd);

	if (is_shortage(err))
		return err;
	use_endpoint(c, i);
	if (err) {
		relay_search_failed(c->worker, c->service, c->endpoint);
		return err;
	}
	c->server.io.fd = fd;
	if (relay_conn_watch(c, &c->server, true, true) != 0) {
		forget_server(c);
		return -ENOMEM;
	}
	wait_for(c, relay_search_connect_ms(c->service));
	return 0;
}

/*
 * The next endpoint until one has a connection under way. After many that fail
 * immediately other clients have their turn.
 */
static void try_next(struct relay_conn *c)
{
	for (int n = 0; n < MAX_TRIES; n++) {
		uint32_t i;
		int err;

		if (relay_now_ms() - c->since_ms >= ALL_CONNECT_MS ||
		    !relay_search_next(&c->search, c->worker, c->service, &i)) {
			relay_conn_count(c, RELAY_FAILED, 1);
			relay_conn_reset(c);
			return;
		}
		err = try_endpoint(c, i);
		c->is_short = is_shortage(err);
		if (c->is_short)
			wait_for(c, SHORTAGE_MS);
		if (!err || c->is_short)
			return;
	}
	wait_for(c, 0);
}

void relay_connect_start(struct relay_conn *c)
{
	relay_search_start(&c->search, c->worker, c->service, &c->peer, c->pool);
	try_next(c);
}

static void give_up_endpoint(struct relay_conn *c)
{
	relay_search_failed(c->worker, c->service, c->endpoint);
	forget_server(c);
	try_next(c);
}

void relay_connect_ready(struct relay_conn *c, bool has_failed)
{
	uint64_t close_at_ms = relay_counted(&c->endpoint->close_at_ms);

	/* it may have been removed since it was chosen */
	if (has_failed || (close_at_ms && close_at_ms <= relay_now_ms())) {
		give_up_endpoint(c);
		return;
	}
	if (close_at_ms)
		relay_worker_need_review(c->worker, close_at_ms);
	relay_search_found(c->worker, c->service, &c->peer, c->endpoint);
	relay_conn_relay(c);
}

void relay_connect_lost(struct relay_conn *c)
{
	c->is_relaying = false;
	relay_unload(&c->endpoint->load, 0, 0); /* it carried nothing */
	LIST_REMOVE(c, in_state);
	LIST_INSERT_HEAD(&c->worker->connecting, c, in_state);
	give_up_endpoint(c);
}

void relay_connect_expire(struct relay_conn *c)
{
	if (c->is_holding) {
		relay_conn_count(c, RELAY_FAILED, 1);
		relay_conn_reset(c);
	} else if (c->server.io.fd >= 0) {
		give_up_endpoint(c);
	} else if (c->is_short) {
		relay_connect_start(c);
	} else {
		try_next(c);
	}
}
