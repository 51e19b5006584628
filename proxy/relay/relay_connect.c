/*
 * Rounds: the endpoint that affinity names, then all that are not set aside, then
 * those that were set aside before this connection came. What fails during the
 * connection is set aside later than that, so nothing is tried twice.
 *
 * Until the first byte nothing has to be repeated: the client's bytes wait in its
 * socket.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/relay/relay_conn.h"

#define CONNECT_MS     1000 /* to one endpoint */
#define SET_ASIDE_MS   5000
#define ALL_CONNECT_MS 30000 /* to all of them */
#define SHORTAGE_MS    100   /* until the next try without descriptors */

enum round { ROUND_NONE, ROUND_BOUND, ROUND_FIRST, ROUND_ASIDE, ROUND_END };

static const struct endpoint *endpoint_at(const struct relay_conn *c, uint32_t i)
{
	return &service_endpoints(c->service->service)[i];
}

static bool is_aside(const struct relay_conn *c, uint32_t i, uint64_t *ret_since_ms)
{
	const struct endpoint *e = endpoint_at(c, i);

	return relay_aside_has(&c->worker->aside, &e->addr, e->port, relay_now_ms(),
			       ret_since_ms);
}

/* The index of the endpoint that this client had, if it is in the pool. */
static uint32_t find_bound(const struct relay_conn *c)
{
	const struct service *service = c->service->service;
	struct addr addr;
	uint16_t port;

	if (!service->affinity_sec ||
	    !relay_affinity_find(c->worker->shared->affinity,
				 c->service->account->affinity_id, &c->peer,
				 relay_now_ms(), &addr, &port))
		return UINT32_MAX;
	for (uint32_t i = 0; i < service->n_endpoints; i++) {
		const struct endpoint *e = endpoint_at(c, i);

		if ((e->flags & 1u << c->pool) && e->port == port &&
		    addr_equal(&e->addr, &addr))
			return i;
	}
	return UINT32_MAX;
}

static void start_round(struct relay_conn *c, enum round round)
{
	c->round = (uint8_t)round;
	relay_order_init(&c->order, c->service->service->n_pool[c->pool],
			 relay_worker_random(c->worker));
}

/* In the pool's order, those that this round tries. */
static bool next_of_round(struct relay_conn *c, uint32_t *ret)
{
	uint32_t at;
	uint64_t since_ms;

	while (relay_order_next(&c->order, &at)) {
		uint32_t i = c->service->pool[c->pool][at];
		bool aside = is_aside(c, i, &since_ms);

		if (c->round == ROUND_FIRST ? !aside : aside && since_ms < c->since_ms) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool next_endpoint(struct relay_conn *c, uint32_t *ret)
{
	uint64_t since_ms;

	if (c->round == ROUND_BOUND) {
		start_round(c, ROUND_FIRST);
		if (c->bound != UINT32_MAX && !is_aside(c, c->bound, &since_ms)) {
			*ret = c->bound;
			return true;
		}
	}
	if (c->round == ROUND_FIRST) {
		if (next_of_round(c, ret))
			return true;
		start_round(c, ROUND_ASIDE);
	}
	if (c->round == ROUND_ASIDE && next_of_round(c, ret))
		return true;
	c->round = ROUND_END;
	return false;
}

static void set_options(int fd)
{
	int one = 1, zero = 0;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	/* an urgent byte would vanish otherwise */
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	/* so that the ACK of the handshake rides on the request */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof(zero));
}

static int open_socket(const struct endpoint *e, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&e->addr, e->port, &sa);
	_cleanup_(closep) int fd =
		socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	set_options(fd);
	if (connect(fd, (const struct sockaddr *)&sa, len) == -1 && errno != EINPROGRESS)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

static void use_endpoint(struct relay_conn *c, uint32_t i)
{
	relay_endpoint_unref(c->endpoint);
	c->endpoint = relay_endpoint_ref(c->service->endpoints[i]);
}

static void note_failure(struct relay_conn *c)
{
	uint32_t set_aside_ms = c->service->service->options.set_aside_ms;

	relay_count(&c->endpoint->n_failures, 1);
	relay_conn_count(c, RELAY_RETRIES, 1);
	relay_aside_put(&c->worker->aside, &c->endpoint->addr, c->endpoint->port,
			relay_now_ms(), set_aside_ms ? set_aside_ms : SET_ASIDE_MS);
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

/* The next endpoint until one has a connection under way. */
static void try_next(struct relay_conn *c)
{
	uint32_t timeout_ms = c->service->service->options.connect_timeout_ms;
	uint32_t i;

	while (relay_now_ms() - c->since_ms < ALL_CONNECT_MS && next_endpoint(c, &i)) {
		int fd = -1, err = open_socket(endpoint_at(c, i), &fd);

		if (is_shortage(err)) {
			wait_for(c, SHORTAGE_MS);
			return;
		}
		use_endpoint(c, i);
		if (err) {
			note_failure(c);
			continue;
		}
		c->server.io.fd = fd;
		relay_side_watch(&c->server, c->worker->loop, EV_WRITE);
		wait_for(c, timeout_ms ? timeout_ms : CONNECT_MS);
		return;
	}
	relay_conn_count(c, RELAY_FAILED, 1);
	relay_conn_reset(c);
}

void relay_connect_start(struct relay_conn *c)
{
	c->bound = find_bound(c);
	c->round = ROUND_BOUND;
	try_next(c);
}

static void give_up_endpoint(struct relay_conn *c)
{
	note_failure(c);
	relay_side_watch(&c->server, c->worker->loop, 0);
	(void)close(c->server.io.fd);
	c->server.io.fd = -1;
	c->server.is_shut = false;
	try_next(c);
}

void relay_connect_ready(struct relay_conn *c)
{
	const struct service *service = c->service->service;
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(c->server.io.fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1 || err) {
		give_up_endpoint(c);
		return;
	}
	relay_count(&c->endpoint->n_connections, 1);
	if (service->affinity_sec)
		relay_affinity_put(c->worker->shared->affinity,
				   c->service->account->affinity_id, &c->peer,
				   relay_now_ms(), service->affinity_sec,
				   &c->endpoint->addr, c->endpoint->port);
	relay_conn_relay(c);
}

void relay_connect_lost(struct relay_conn *c)
{
	c->is_relaying = false;
	LIST_REMOVE(c, in_state);
	LIST_INSERT_HEAD(&c->worker->connecting, c, in_state);
	relay_side_watch(&c->client, c->worker->loop, 0);
	give_up_endpoint(c);
}

void relay_connect_expire(struct relay_conn *c)
{
	if (c->is_holding) {
		relay_conn_count(c, RELAY_FAILED, 1);
		relay_conn_reset(c);
	} else if (c->server.io.fd >= 0) {
		give_up_endpoint(c);
	} else { /* descriptors were short */
		relay_connect_start(c);
	}
}
