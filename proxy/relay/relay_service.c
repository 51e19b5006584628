#include "proxy/relay/relay_service.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static bool release(uint32_t *refs)
{
	return __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) == 0;
}

static void acquire(uint32_t *refs)
{
	(void)__atomic_add_fetch(refs, 1, __ATOMIC_RELAXED);
}

struct relay_endpoint *relay_endpoint_ref(struct relay_endpoint *e)
{
	acquire(&e->refs);
	return e;
}

void relay_endpoint_unref(struct relay_endpoint *e)
{
	if (e && release(&e->refs))
		free(e);
}

struct relay_service *relay_service_ref(struct relay_service *s)
{
	acquire(&s->refs);
	return s;
}

void relay_service_unref(struct relay_service *s)
{
	if (!s || !release(&s->refs))
		return;
	for (uint32_t i = 0; i < s->service->n_endpoints; i++)
		relay_endpoint_unref(s->endpoints[i]);
	for (int pool = 0; pool < POOL_N; pool++)
		free(s->pool[pool]);
	if (release(&s->account->refs))
		free(s->account);
	service_unref(s->service);
	free(s);
}

static struct relay_endpoint *endpoint_new(const struct endpoint *e)
{
	struct relay_endpoint *made = xcalloc(1, sizeof(*made));

	made->refs = 1;
	made->addr = e->addr;
	made->port = e->port;
	return made;
}

static struct relay_account *account_new(void)
{
	static uint32_t last_id; /* versions are made by one thread */
	struct relay_account *account = xcalloc(1, sizeof(*account));

	account->refs = 1;
	account->affinity_id = ++last_id;
	return account;
}

static int compare(const struct endpoint *a, const struct endpoint *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	return order ? order : (int)a->port - (int)b->port;
}

/* Both lists have the same order: *at moves along the old one. */
static struct relay_endpoint *find_old(const struct relay_service *old, uint32_t *at,
				       const struct endpoint *wanted)
{
	const struct endpoint *endpoints;

	if (!old)
		return NULL;
	endpoints = service_endpoints(old->service);
	while (*at < old->service->n_endpoints && compare(&endpoints[*at], wanted) < 0)
		++*at;
	if (*at == old->service->n_endpoints || compare(&endpoints[*at], wanted) != 0)
		return NULL;
	return old->endpoints[*at];
}

static void fill_pools(struct relay_service *s)
{
	const struct endpoint *endpoints = service_endpoints(s->service);

	for (unsigned pool = 0; pool < POOL_N; pool++) {
		uint32_t n = 0;

		s->pool[pool] =
			xcalloc(s->service->n_pool[pool] + 1, sizeof(*s->pool[pool]));
		for (uint32_t i = 0; i < s->service->n_endpoints; i++)
			if (endpoints[i].flags & 1u << pool)
				s->pool[pool][n++] = i;
	}
}

struct relay_service *relay_service_new(const struct service *service,
					const struct relay_classifier *classifier,
					const struct relay_service *old)
{
	const struct endpoint *endpoints = service_endpoints(service);
	struct relay_service *s =
		xcalloc(1, sizeof(*s) + service->n_endpoints * sizeof(s->endpoints[0]));
	uint32_t at = 0;

	s->refs = 1;
	s->service = service_ref(service);
	s->classifier = *classifier;
	s->account = old ? old->account : account_new();
	if (old)
		acquire(&s->account->refs);
	for (uint32_t i = 0; i < service->n_endpoints; i++) {
		struct relay_endpoint *known = find_old(old, &at, &endpoints[i]);

		s->endpoints[i] =
			known ? relay_endpoint_ref(known) : endpoint_new(&endpoints[i]);
		if (endpoints[i].flags & ENDPOINT_SERVING) /* perhaps again */
			__atomic_store_n(&s->endpoints[i]->close_at_ms, 0,
					 __ATOMIC_RELAXED);
	}
	fill_pools(s);
	return s;
}

static uint64_t closing_time(const struct service *service, uint64_t now_ms)
{
	if (service->proto == IPPROTO_UDP)
		return now_ms;
	switch ((enum endpoint_removal)service->options.on_endpoint_removed) {
	case ENDPOINT_REMOVAL_KEEP:
		break;
	case ENDPOINT_REMOVAL_RESET:
		return now_ms;
	case ENDPOINT_REMOVAL_DRAIN:
		return now_ms + service_times(service)->drain_ms;
	}
	return 0;
}

/* Whether its connections or flows continue. */
static bool is_kept(const struct relay_service *successor, uint32_t *at,
		    const struct endpoint *e)
{
	if (!find_old(successor, at, e))
		return false;
	return successor->service->proto != IPPROTO_UDP ||
	       (service_endpoints(successor->service)[*at].flags & ENDPOINT_SERVING);
}

bool relay_service_retire(const struct relay_service *old,
			  const struct relay_service *successor, uint64_t now_ms)
{
	const struct endpoint *endpoints = service_endpoints(old->service);
	uint64_t close_at_ms =
		closing_time(successor ? successor->service : old->service, now_ms);
	uint32_t at = 0;
	bool has_any = false;

	if (!close_at_ms)
		return false;
	for (uint32_t i = 0; i < old->service->n_endpoints; i++) {
		if (is_kept(successor, &at, &endpoints[i]))
			continue;
		__atomic_store_n(&old->endpoints[i]->close_at_ms, close_at_ms,
				 __ATOMIC_RELAXED);
		has_any = true;
	}
	return has_any;
}
