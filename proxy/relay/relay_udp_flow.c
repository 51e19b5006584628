#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/relay/relay_search.h"
#include "proxy/relay/relay_transfer.h"
#include "proxy/relay/relay_udp_private.h"

static void count_flow(const struct relay_flow *flow, enum relay_counter counter,
		       uint64_t n)
{
	relay_worker_count(flow->udp->worker, flow->service, counter, n);
}

/* ---- the end ---- */

void relay_flow_end(struct relay_flow *flow)
{
	struct relay_worker *w = flow->udp->worker;

	relay_poll_forget(&w->poll, &flow->io);
	(void)close(flow->io.fd);
	flow->io.fd = -1;
	relay_flows_del(&flow->udp->flows, &flow->node);
	LIST_REMOVE(flow, in_ear);
	LIST_INSERT_HEAD(&flow->udp->ended, flow, in_ended);
	count_flow(flow, RELAY_UP, flow->up_len);
	count_flow(flow, RELAY_DOWN, flow->down_len);
	count_flow(flow, RELAY_DATAGRAMS_UP, flow->n_up);
	count_flow(flow, RELAY_DATAGRAMS_DOWN, flow->n_down);
	relay_unload(&flow->service->account->load, flow->up_len, flow->down_len);
	relay_unload(&flow->endpoint->load, flow->up_len, flow->down_len);
	relay_limit_give_flow(w->shared->limit);
}

void relay_flow_lose(struct relay_flow *flow)
{
	relay_search_failed(flow->udp->worker, flow->service, flow->endpoint);
	relay_flow_end(flow);
}

bool relay_flow_is_loss(int err)
{
	switch (err) {
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EHOSTDOWN:
	case -ENETDOWN:
	case -ENOPROTOOPT:
		return true;
	default:
		return false;
	}
}

void relay_flow_free(struct relay_flow *flow)
{
	relay_service_unref(flow->service);
	relay_endpoint_unref(flow->endpoint);
	free(flow);
}

/* ---- the start ---- */

bool relay_flow_evict(struct relay_udp *u)
{
	struct relay_flow_node *n = relay_flows_victim(&u->flows);

	if (!n)
		return false;
	count_flow((struct relay_flow *)n, RELAY_EVICTED, 1);
	relay_flow_end((struct relay_flow *)n);
	return true;
}

static bool take_room(struct relay_udp *u)
{
	while (!relay_limit_take_flow(u->worker->shared->limit))
		if (!relay_flow_evict(u))
			return false;
	return true;
}

static int open_socket(const struct endpoint *e, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&e->addr, e->port, &sa);
	_cleanup_(closep) int fd =
		socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1 || connect(fd, (const struct sockaddr *)&sa, len) == -1)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

/* Of descriptors, memory, or ports of this host. */
static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM ||
	       err == -EAGAIN || err == -EADDRNOTAVAIL || err == -EADDRINUSE;
}

/* Towards the next endpoint until one is reachable. The index, or UINT32_MAX. */
static uint32_t find_endpoint(struct relay_udp *u, const struct relay_service *s,
			      const struct addr *client, uint8_t pool, int *ret_fd)
{
	struct relay_search search;
	uint32_t i;

	relay_search_start(&search, u->worker, s, client, pool);
	while (relay_search_next(&search, u->worker, s, &i)) {
		const struct endpoint *e = &service_endpoints(s->service)[i];
		int err = open_socket(e, ret_fd);

		if (is_shortage(err) && relay_flow_evict(u))
			err = open_socket(e, ret_fd);
		if (!err)
			return i;
		if (is_shortage(err))
			break;
		relay_search_failed(u->worker, s, s->endpoints[i]);
	}
	return UINT32_MAX;
}

/* NULL: it cannot be watched; the socket stays the caller's, its room does not. */
static struct relay_flow *make(struct relay_udp *u, struct relay_ear *ear,
			       const struct relay_flow_key *key, uint32_t i, int fd,
			       void (*on_answer)(struct relay_watch *, uint32_t))
{
	struct relay_flow *flow = xcalloc(1, sizeof(*flow));

	flow->io = (struct relay_watch){.fn = on_answer, .fd = fd};
	if (relay_poll_add(&u->worker->poll, u->worker->mover.calls, &flow->io,
			   EPOLLIN) != 0) {
		relay_limit_give_flow(u->worker->shared->limit);
		free(flow);
		return NULL;
	}
	flow->node.key = *key;
	flow->udp = u;
	flow->ear = ear;
	flow->service = relay_service_ref(ear->service);
	flow->endpoint = relay_endpoint_ref(ear->service->endpoints[i]);
	flow->n_expected = 1;
	LIST_INSERT_HEAD(&ear->flows, flow, in_ear);
	relay_count(&ear->service->account->load.n, 1);
	relay_count(&flow->endpoint->load.n, 1);
	return flow;
}

static void put(struct relay_flow *flow)
{
	relay_flows_put(&flow->udp->flows, &flow->node, flow->service->account,
			(uint32_t)(relay_now_ms() / 1000));
}

struct relay_flow *relay_flow_open(struct relay_udp *u, struct relay_ear *ear,
				   const struct relay_flow_key *key, struct msghdr *first,
				   void (*on_answer)(struct relay_watch *, uint32_t))
{
	const struct decision *d =
		relay_search_decide(ear->service, ear->frontend, &key->client,
				    relay_class_ifindex_of(first));
	struct relay_flow *flow;
	uint32_t i;
	int fd;

	if (d->action != ACTION_BALANCE || !take_room(u))
		return NULL;
	i = find_endpoint(u, ear->service, &key->client, d->pool, &fd);
	if (i == UINT32_MAX) {
		relay_limit_give_flow(u->worker->shared->limit);
		return NULL;
	}
	flow = make(u, ear, key, i, fd, on_answer);
	if (!flow) {
		(void)close(fd);
		return NULL;
	}
	flow->client_len = first->msg_namelen;
	memcpy(&flow->client, first->msg_name, first->msg_namelen);
	put(flow);
	relay_count(&ear->n_connections, 1);
	count_flow(flow, RELAY_FLOWS, 1);
	relay_search_found(u->worker, flow->service, &key->client, flow->endpoint);
	return flow;
}

/* ---- from the process before this one ---- */

/* The endpoint that the socket is connected to, if it serves; else UINT32_MAX. */
static uint32_t endpoint_of(const struct relay_service *s, int fd)
{
	const struct endpoint *endpoints = service_endpoints(s->service);
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr addr;
	uint16_t port;
	uint32_t i;

	if (getpeername(fd, (struct sockaddr *)&sa, &len) == -1 ||
	    addr_from_sockaddr((const struct sockaddr *)&sa, &addr, &port) != 0)
		return UINT32_MAX;
	i = service_find_endpoint(s->service, &addr, port);
	return i != UINT32_MAX && (endpoints[i].flags & ENDPOINT_SERVING) ? i
									  : UINT32_MAX;
}

static void set_client(struct relay_flow *flow,
		       const struct relay_transfer_record *record)
{
	struct sockaddr_storage sa;

	flow->client_len = addr_to_sockaddr(&record->client, record->client_port, &sa);
	memcpy(&flow->client, &sa, flow->client_len);
	if (flow->client.sin6_family == AF_INET6)
		flow->client.sin6_scope_id = record->scope;
}

bool relay_flow_adopt(struct relay_udp *u, struct relay_ear *ear, int fd,
		      const struct relay_transfer_record *record,
		      void (*on_answer)(struct relay_watch *, uint32_t))
{
	const struct relay_flow_key key = {.frontend = ear,
					   .client = record->client,
					   .scope = record->scope,
					   .port = record->client_port};
	uint32_t i = endpoint_of(ear->service, fd);
	socklen_t len = sizeof(int);
	struct relay_flow *flow;
	int is_joining = 0;

	if (i == UINT32_MAX || relay_flows_find(&u->flows, &key) || !take_room(u))
		return false;
	(void)getsockopt(fd, IPPROTO_UDP, UDP_GRO, &is_joining, &len); /* or it is off */
	flow = make(u, ear, &key, i, fd, on_answer);
	if (!flow)
		return false;
	set_client(flow, record);
	flow->is_joining = is_joining;
	flow->node.is_answered = record->is_answered;
	put(flow);
	return true;
}
