#include "proxy/relay/relay_search.h"

#include "proxy/relay/relay_worker.h"

#define SET_ASIDE_MS 5000
#define CONNECT_MS   1000 /* to one endpoint */
#define MORE_MS	     500  /* a trial is longer than that */

enum round { ROUND_BOUND, ROUND_FIRST, ROUND_ASIDE, ROUND_END };

uint32_t relay_search_connect_ms(const struct relay_service *s)
{
	uint32_t ms = service_times(s->service)->connect_timeout_ms;

	return ms ? ms : CONNECT_MS;
}

bool relay_search_needs_class(const struct frontend *f)
{
	for (int class = 1; class < CLIENT_N; class ++)
		if (f->from[class].action != f->from[0].action ||
		    f->from[class].pool != f->from[0].pool)
			return true;
	return false;
}

const struct decision *relay_search_decide(const struct relay_service *s,
					   const struct frontend *f,
					   const struct addr *client, unsigned ifindex)
{
	enum client_class class = CLIENT_EXTERNAL;

	if (relay_search_needs_class(f))
		class = relay_classify(&s->classifier, ifindex, client);
	return &f->from[class];
}

/* An endpoint that fails with one protocol may serve the other one. */
static struct relay_aside *aside_of(struct relay_worker *w, const struct relay_service *s)
{
	return s->service->proto == IPPROTO_UDP ? &w->udp_aside : &w->aside;
}

static const struct endpoint *endpoint_at(const struct relay_service *s, uint32_t i)
{
	return &service_endpoints(s->service)[i];
}

static bool is_aside(struct relay_worker *w, const struct relay_service *s, uint32_t i,
		     uint64_t *ret_since_ms)
{
	const struct endpoint *e = endpoint_at(s, i);

	return relay_aside_has(aside_of(w, s), &e->addr, e->port, relay_now_ms(),
			       relay_search_connect_ms(s) + MORE_MS, ret_since_ms);
}

uint32_t relay_search_bound(const struct relay_shared *shared,
			    const struct relay_service *s, const struct addr *client,
			    uint8_t pool)
{
	struct addr addr;
	uint16_t port;
	uint32_t i;

	if (!s->service->affinity_sec ||
	    !relay_affinity_find(shared->affinity, s->account->affinity_id, client,
				 relay_now_ms(), &addr, &port))
		return UINT32_MAX;
	i = service_find_endpoint(s->service, &addr, port);
	return i != UINT32_MAX && (endpoint_at(s, i)->flags & 1u << pool) ? i
									  : UINT32_MAX;
}

static void start_round(struct relay_search *search, struct relay_worker *w,
			const struct relay_service *s, enum round round)
{
	search->round = (uint8_t)round;
	relay_order_init(&search->order, s->service->n_pool[search->pool],
			 relay_worker_random(w));
}

/* In the pool's order, those that this round tries. */
static bool next_of_round(struct relay_search *search, struct relay_worker *w,
			  const struct relay_service *s, uint32_t *ret)
{
	uint32_t at;
	uint64_t since_ms;

	while (relay_order_next(&search->order, &at)) {
		uint32_t i = s->pool[search->pool][at];
		bool aside = is_aside(w, s, i, &since_ms);

		if (search->round == ROUND_FIRST ? !aside
						 : aside && since_ms < search->since_ms) {
			*ret = i;
			return true;
		}
	}
	return false;
}

void relay_search_start(struct relay_search *search, struct relay_worker *w,
			const struct relay_service *s, const struct addr *client,
			uint8_t pool)
{
	search->pool = pool;
	search->bound = relay_search_bound(w->shared, s, client, pool);
	search->round = ROUND_BOUND;
	search->since_ms = relay_now_ms();
}

bool relay_search_next(struct relay_search *search, struct relay_worker *w,
		       const struct relay_service *s, uint32_t *ret)
{
	uint64_t since_ms;

	if (search->round == ROUND_BOUND) {
		start_round(search, w, s, ROUND_FIRST);
		if (search->bound != UINT32_MAX &&
		    !is_aside(w, s, search->bound, &since_ms)) {
			*ret = search->bound;
			return true;
		}
	}
	if (search->round == ROUND_FIRST) {
		if (next_of_round(search, w, s, ret))
			return true;
		start_round(search, w, s, ROUND_ASIDE);
	}
	if (search->round == ROUND_ASIDE && next_of_round(search, w, s, ret))
		return true;
	search->round = ROUND_END;
	return false;
}

void relay_search_found(struct relay_worker *w, const struct relay_service *s,
			const struct addr *client, struct relay_endpoint *e)
{
	relay_count(&e->n_connections, 1);
	relay_aside_clear(aside_of(w, s), &e->addr, e->port);
	if (s->service->affinity_sec)
		relay_affinity_put(w->shared->affinity, s->account->affinity_id, client,
				   relay_now_ms(), s->service->affinity_sec, &e->addr,
				   e->port);
}

void relay_search_failed(struct relay_worker *w, const struct relay_service *s,
			 struct relay_endpoint *e)
{
	uint32_t set_aside_ms = service_times(s->service)->set_aside_ms;

	relay_count(&e->n_failures, 1);
	relay_worker_count(w, s, RELAY_RETRIES, 1);
	relay_aside_put(aside_of(w, s), &e->addr, e->port, relay_now_ms(),
			set_aside_ms ? set_aside_ms : SET_ASIDE_MS);
}
