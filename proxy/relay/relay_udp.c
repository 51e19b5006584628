#include "proxy/relay/relay_udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/relay/relay_search.h"
#include "proxy/relay/relay_transfer.h"
#include "proxy/relay/relay_udp_private.h"

#define RECEIVE_BUFFER_LEN (4 << 20)
#define ANSWER_BUFFER_LEN  (1 << 20)
#define SWEEP_MS	   1000
#define MANY		   16 /* answers in one event: joined ones are worth their cost */

static uint32_t now_sec(void)
{
	return (uint32_t)(relay_now_ms() / 1000);
}

/* Without them datagrams come one by one, or are lost earlier: no more than that. */
static void set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* Without the right the system's limit applies. */
static void set_receive_buffer(int fd, int len)
{
	set_option(fd, SOL_SOCKET, SO_RCVBUF, len);
	set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, len);
}

/* ---- towards clients ---- */

static void drop_answers(void *data, const struct relay_watch *to, int err, unsigned n)
{
	struct relay_udp *u = data;
	const struct relay_ear *ear = container_of(to, struct relay_ear, io);

	relay_worker_count(u->worker, ear->service, RELAY_DROPPED, n);
}

static void flush_answers(struct relay_udp *u)
{
	if (u->down->n)
		relay_batch_send(u->down, drop_answers, u);
}

static void count_bytes(struct relay_flow *flow, enum relay_direction direction,
			unsigned len)
{
	relay_count(&flow->service->account->load.n_bytes[direction], len);
	relay_count(&flow->endpoint->load.n_bytes[direction], len);
}

static void address_answer(struct relay_udp *u, struct relay_flow *flow, unsigned i)
{
	struct msghdr *m = &u->down->messages[i].msg_hdr;

	m->msg_name = &flow->client;
	m->msg_namelen = flow->client_len;
	u->down->datagrams[i].to = &flow->ear->io;
	flow->n_down += relay_batch_n_parts(u->down, i);
	flow->down_len += u->down->messages[i].msg_len;
	count_bytes(flow, RELAY_OUT, u->down->messages[i].msg_len);
}

static void on_answer(struct relay_watch *io, uint32_t events)
{
	struct relay_flow *flow = container_of(io, struct relay_flow, io);
	struct relay_udp *u = flow->udp;
	unsigned first;
	int n;

	if (RELAY_BATCH_N - u->down->n < flow->n_expected)
		flush_answers(u);
	first = u->down->n;
	n = relay_batch_receive(u->down, io->fd, flow->n_expected);
	if (n < 0) {
		if (relay_flow_is_loss(n))
			relay_flow_lose(flow);
		return;
	}
	for (unsigned i = first; i < u->down->n; i++)
		address_answer(u, flow, i);
	relay_flows_use(&u->flows, &flow->node, now_sec(), true);
	if ((unsigned)n < flow->n_expected)
		flow->n_expected = (unsigned)n;
	else if (flow->n_expected < RELAY_BATCH_N)
		flow->n_expected *= 2;
	if (n >= MANY && !flow->is_joining) {
		flow->is_joining = true;
		set_option(io->fd, IPPROTO_UDP, UDP_GRO, 1);
		set_receive_buffer(io->fd, ANSWER_BUFFER_LEN);
	}
}

/* ---- towards endpoints ---- */

static void fail_datagrams(void *data, const struct relay_watch *to, int err, unsigned n)
{
	struct relay_udp *u = data;
	struct relay_flow *flow = container_of(to, struct relay_flow, io);

	relay_worker_count(u->worker, flow->service, RELAY_DROPPED, n);
	if (relay_flow_is_loss(err))
		relay_flow_lose(flow);
}

static bool key_of(const struct relay_ear *ear, const struct msghdr *m,
		   struct relay_flow_key *ret)
{
	const struct sockaddr_in6 *sa = m->msg_name;

	*ret = (struct relay_flow_key){.frontend = ear};
	if (sa->sin6_family == AF_INET6)
		ret->scope = sa->sin6_scope_id;
	return addr_from_sockaddr((const struct sockaddr *)sa, &ret->client,
				  &ret->port) == 0;
}

static void start_sweep(struct relay_udp *u)
{
	if (!u->worker->sweep_ms)
		u->worker->sweep_ms = relay_now_ms() + SWEEP_MS;
}

/* The flow of a received datagram, or a new one. */
static struct relay_flow *flow_of(struct relay_udp *u, struct relay_ear *ear, unsigned i)
{
	struct msghdr *m = &u->up->messages[i].msg_hdr;
	struct relay_flow_key key;
	struct relay_flow_node *n;

	if (!key_of(ear, m, &key))
		return NULL;
	n = relay_flows_find(&u->flows, &key);
	if (n) {
		relay_flows_use(&u->flows, n, now_sec(), false);
		return (struct relay_flow *)n;
	}
	start_sweep(u);
	return relay_flow_open(u, ear, &key, m, on_answer);
}

static void on_datagrams(struct relay_watch *io, uint32_t events)
{
	struct relay_ear *ear = container_of(io, struct relay_ear, io);
	struct relay_udp *u = ear->worker->udp;

	if (relay_batch_receive(u->up, io->fd, RELAY_BATCH_N) < 0)
		return; /* none is there, or a passing shortage: the set reports it again */
	for (unsigned i = 0; i < u->up->n; i++) {
		struct relay_flow *flow = flow_of(u, ear, i);
		struct msghdr *m = &u->up->messages[i].msg_hdr;
		unsigned n_parts = relay_batch_n_parts(u->up, i);

		if (!flow) {
			relay_worker_count(u->worker, ear->service, RELAY_DROPPED,
					   n_parts);
			continue;
		}
		m->msg_name = NULL;
		m->msg_namelen = 0;
		u->up->datagrams[i].to = &flow->io;
		flow->n_up += n_parts;
		flow->up_len += u->up->messages[i].msg_len;
		count_bytes(flow, RELAY_IN, u->up->messages[i].msg_len);
	}
	relay_batch_send(u->up, fail_datagrams, u);
}

/* ---- time ---- */

void relay_udp_sweep(struct relay_udp *u, uint64_t now_ms)
{
	const struct relay_shared *shared = u->worker->shared;
	struct relay_flow_node *n;

	while ((n = relay_flows_idle(&u->flows, (uint32_t)(now_ms / 1000),
				     shared->udp_unanswered_sec,
				     shared->udp_answered_sec)))
		relay_flow_end((struct relay_flow *)n);
	while (relay_limit_has_excess_flows(shared->limit) && relay_flow_evict(u))
		;
	u->worker->sweep_ms = relay_flows_n(&u->flows) ? now_ms + SWEEP_MS : 0;
}

void relay_udp_finish(struct relay_udp *u)
{
	struct relay_flow *flow;

	flush_answers(u);
	while ((flow = LIST_FIRST(&u->ended))) {
		LIST_REMOVE(flow, in_ended);
		relay_flow_free(flow);
	}
}

void relay_udp_review(struct relay_udp *u, uint64_t now_ms)
{
	struct relay_flow_node *n;

	for (size_t i = 0; (n = hash_next(&u->flows.by_key, &i));) {
		struct relay_flow *flow = (struct relay_flow *)n;
		uint64_t at_ms = relay_counted(&flow->endpoint->close_at_ms);

		if (at_ms && at_ms <= now_ms)
			relay_flow_end(flow);
	}
}

/* ---- frontends ---- */

void relay_udp_retarget(struct relay_ear *ear)
{
	bool is_ipv4 = ear->service->service->family == FAMILY_IPV4;

	set_option(ear->io.fd, is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6,
		   is_ipv4 ? IP_PKTINFO : IPV6_RECVPKTINFO,
		   relay_search_needs_class(ear->frontend));
}

void relay_udp_open_ear(struct relay_udp *u, struct relay_ear *ear)
{
	LIST_INIT(&ear->flows);
	set_receive_buffer(ear->io.fd, RECEIVE_BUFFER_LEN);
	set_option(ear->io.fd, IPPROTO_UDP, UDP_GRO, 1);
	relay_udp_retarget(ear);
	ear->io.fn = on_datagrams;
}

void relay_udp_close_ear(struct relay_udp *u, struct relay_ear *ear)
{
	flush_answers(u); /* while its socket is open */
	while (!LIST_EMPTY(&ear->flows))
		relay_flow_end(LIST_FIRST(&ear->flows));
}

void relay_udp_pass(struct relay_ear *ear, struct relay_transfer *t)
{
	struct relay_worker *w = ear->worker;
	uint64_t cookie = relay_transfer_cookie(ear->io.fd);
	struct relay_flow *flow;

	LIST_FOREACH(flow, &ear->flows, in_ear)
	{
		relay_poll_remove(&w->poll, w->mover.calls, &flow->io);
		relay_transfer_add(t, flow->io.fd, ear->io.fd,
				   &(struct relay_transfer_record){
					   .cookie = cookie,
					   .client = flow->node.key.client,
					   .client_port = flow->node.key.port,
					   .scope = flow->node.key.scope,
					   .is_answered = flow->node.is_answered,
				   });
	}
}

void relay_udp_adopt(struct relay_udp *u, struct relay_ear *ear, int fd,
		     const struct relay_transfer_record *record)
{
	start_sweep(u);
	if (!relay_flow_adopt(u, ear, fd, record, on_answer))
		(void)close(fd);
}

struct relay_udp *relay_udp_new(struct relay_worker *w)
{
	struct relay_udp *u = xcalloc(1, sizeof(*u));

	u->worker = w;
	u->up = relay_batch_new();
	u->down = relay_batch_new();
	relay_flows_init(&u->flows, w->shared->limit->n_max_flows);
	LIST_INIT(&u->ended);
	return u;
}

void relay_udp_free(struct relay_udp *u)
{
	if (!u)
		return;
	relay_udp_finish(u);
	relay_flows_fini(&u->flows);
	relay_batch_free(u->up);
	relay_batch_free(u->down);
	free(u);
}
