/*
 * One function for each set adds the elements of a service.
 *
 * The class of a client is found in the order pod, this node, outside (see
 * `dispatch` in nft_rules.c).  So the decision for outside is in `frontends`,
 * and `frontends-inside` has an entry only where pods and this node are served
 * differently.  Packets that were translated are past `empty`: it catches what
 * no other map took.
 */
#include "rules/nft/nft_elements.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "rules/nft/nft_slots.h"
#include "rules/nft/nft_walk.h"

static struct nft_verdict pick_verdict(const struct nft_walk *w, uint8_t pool)
{
	static const uint8_t kinds[POOL_N][2] = {
		[POOL_CLUSTER] = {CHAIN_PICK, CHAIN_AFFINITY},
		[POOL_LOCAL] = {CHAIN_PICK_LOCAL, CHAIN_AFFINITY_LOCAL},
	};

	return (struct nft_verdict){
		.code = VERDICT_GOTO,
		.chain = {kinds[pool][w->number > 0], nft_pool_size(w->service, pool)},
	};
}

static struct nft_verdict refuse_verdict(enum action action)
{
	if (action == ACTION_DROP)
		return (struct nft_verdict){.code = VERDICT_DROP};
	return (struct nft_verdict){.code = VERDICT_GOTO, .chain = {CHAIN_REFUSE, 0}};
}

static void emit_frontend(struct nft_walk *w, const struct frontend *f)
{
	const struct decision *d = &f->from[CLIENT_EXTERNAL];

	if (!nft_walk_is_balanced(w, d))
		return;
	nft_walk_start_frontend(w, SET_FRONTENDS, f);
	nft_walk_emit_verdict(w, pick_verdict(w, d->pool));
}

/* Where only the outside is served, inside goes past `frontends` to `empty`. */
static void emit_frontend_inside(struct nft_walk *w, const struct frontend *f)
{
	const struct decision *inside = &f->from[CLIENT_NODE];
	const struct decision *outside = &f->from[CLIENT_EXTERNAL];

	if (nft_walk_is_balanced(w, inside)) {
		if (nft_walk_is_balanced(w, outside) && inside->pool == outside->pool)
			return;
		nft_walk_start_frontend(w, SET_INTERNAL_FRONTENDS, f);
		nft_walk_emit_verdict(w, pick_verdict(w, inside->pool));
	} else if (nft_walk_is_balanced(w, outside)) {
		nft_walk_start_frontend(w, SET_INTERNAL_FRONTENDS, f);
		nft_walk_emit_verdict(w, (struct nft_verdict){.code = VERDICT_ACCEPT});
	}
}

static void emit_empty(struct nft_walk *w, const struct frontend *f)
{
	enum action inside = nft_walk_action(w->service, &f->from[CLIENT_NODE]);
	enum action outside = nft_walk_action(w->service, &f->from[CLIENT_EXTERNAL]);
	enum action action = outside != ACTION_BALANCE ? outside : inside;

	if (action == ACTION_BALANCE)
		return;
	nft_walk_start_frontend(w, SET_NO_ENDPOINTS, f);
	nft_walk_emit_verdict(w, refuse_verdict(action));
}

/* Does the rule for all cluster addresses implement the decision for this one? */
static bool is_masked_by_address(const struct nft_walk *w, const struct frontend *f)
{
	return f->kind == FRONTEND_CLUSTER_IP &&
	       (w->env->masquerade_all ||
		environment_has_detector(w->env, w->service->family));
}

static void emit_masked(struct nft_walk *w, const struct frontend *f)
{
	if (!f->from[CLIENT_EXTERNAL].masquerade || is_masked_by_address(w, f))
		return;
	nft_walk_start_frontend(w, SET_MASQUERADE_ALWAYS, f);
	nft_walk_emit(w);
}

static void emit_local_policy(struct nft_walk *w, const struct frontend *f)
{
	if (f->from[CLIENT_EXTERNAL].masquerade || !f->from[CLIENT_NODE].masquerade ||
	    is_masked_by_address(w, f))
		return;
	nft_walk_start_frontend(w, SET_MASQUERADE_FROM_NODE, f);
	nft_walk_emit(w);
}

static void emit_cluster_ip(struct nft_walk *w, const struct frontend *f)
{
	if (f->kind != FRONTEND_CLUSTER_IP)
		return;
	nft_walk_start(w, SET_CLUSTER_IPS);
	nft_walk_add_addr(w, &f->addr);
	nft_walk_emit(w);
}

static void emit_external_address(struct nft_walk *w, const struct frontend *f)
{
	if (f->kind != FRONTEND_EXTERNAL_IP && f->kind != FRONTEND_LOAD_BALANCER)
		return;
	nft_walk_start(w, SET_EXTERNAL_ADDRESSES);
	nft_walk_add_addr(w, &f->addr);
	nft_walk_emit(w);
}

static void emit_limited(struct nft_walk *w, const struct frontend *f)
{
	if (!f->is_limited)
		return;
	nft_walk_start_frontend(w, SET_SOURCE_LIMITED, f);
	nft_walk_emit(w);
}

static void emit_source_drop(struct nft_walk *w, const struct frontend *f)
{
	if (!f->is_limited)
		return;
	nft_walk_start_frontend(w, SET_SOURCE_DROPS, f);
	nft_walk_emit_verdict(w, (struct nft_verdict){.code = VERDICT_DROP});
}

static void emit_range(struct nft_walk *w, const struct frontend *f,
		       const struct cidr *range)
{
	struct addr first, last;
	uint8_t prefix_len;

	cidr_range(range, &first, &last);
	nft_walk_start_frontend(w, SET_SOURCE_RANGES, f);
	prefix_len = w->e.key_len;
	nft_walk_add_addr(w, &first);
	memcpy(w->e.key + w->e.key_len, w->e.key, prefix_len);
	w->e.key_len = (uint8_t)(w->e.key_len + prefix_len);
	nft_walk_add_addr(w, &last);
	nft_walk_emit(w);
}

/*
 * The kernel takes no ranges that overlap. They are ordered by address, then
 * length, so whatever holds a range comes before it; the last one taken is enough.
 */
static void emit_allowed(struct nft_walk *w, const struct frontend *f)
{
	const struct cidr *ranges = service_allowed(w->service);
	const struct cidr *taken = NULL;

	if (!f->is_limited)
		return;
	for (uint32_t i = 0; i < w->service->n_allowed; i++) {
		if ((uint8_t)cidr_family(&ranges[i]) != w->service->family)
			continue;
		if (taken && cidr_contains(taken, &ranges[i].addr))
			continue;
		taken = &ranges[i];
		emit_range(w, f, taken);
	}
}

static void emit_slot(struct nft_walk *w, const struct frontend *f, uint32_t slot,
		      const struct endpoint *endpoint)
{
	nft_walk_start_frontend(w, SET_ENDPOINTS, f);
	w->e.key_len = (uint8_t)nft_key_u32(w->e.key, w->e.key_len, slot);
	nft_walk_set_endpoint(w, endpoint);
	nft_walk_emit(w);
}

static void emit_pool(struct nft_walk *w, const struct frontend *f, enum pool pool)
{
	uint32_t n = nft_pool_size(w->service, pool);

	if (!w->slots[pool])
		w->slots[pool] = nft_slots_assign(w->service, pool);
	for (uint32_t i = 0; i < n; i++)
		emit_slot(w, f, pool * NFT_LOCAL_SLOT + i, w->slots[pool][i]);
}

static void emit_endpoints(struct nft_walk *w, const struct frontend *f)
{
	unsigned pools = nft_walk_pools(w, f);

	for (unsigned pool = 0; pool < POOL_N; pool++)
		if (pools & 1u << pool)
			emit_pool(w, f, pool);
}

static void emit_hairpin(struct nft_walk *w, const struct frontend *f)
{
	const struct endpoint *endpoints = service_endpoints(w->service);

	for (uint32_t i = 0; i < w->service->n_endpoints; i++) {
		if (!(endpoints[i].flags & ENDPOINT_HERE) ||
		    !(endpoints[i].flags & (ENDPOINT_CLUSTER | ENDPOINT_LOCAL)))
			continue;
		nft_walk_start(w, SET_HAIRPIN);
		nft_walk_add_addr(w, &endpoints[i].addr);
		nft_walk_add_addr(w, &endpoints[i].addr);
		nft_walk_emit(w);
	}
}

static const struct {
	void (*emit)(struct nft_walk *w, const struct frontend *f);
	bool is_once; /* for the service, not for each frontend */
} emitters[SET_N] = {
	[SET_FRONTENDS] = {emit_frontend, false},
	[SET_INTERNAL_FRONTENDS] = {emit_frontend_inside, false},
	[SET_ENDPOINTS] = {emit_endpoints, false},
	[SET_MASQUERADE_FROM_NODE] = {emit_local_policy, false},
	[SET_MASQUERADE_ALWAYS] = {emit_masked, false},
	[SET_CLUSTER_IPS] = {emit_cluster_ip, false},
	[SET_EXTERNAL_ADDRESSES] = {emit_external_address, false},
	[SET_NO_ENDPOINTS] = {emit_empty, false},
	[SET_SOURCE_LIMITED] = {emit_limited, false},
	[SET_SOURCE_RANGES] = {emit_allowed, false},
	[SET_SOURCE_DROPS] = {emit_source_drop, false},
	[SET_HAIRPIN] = {emit_hairpin, true},
	[SET_AFFINITY_SERVICES] = {nft_affinity_emit_service, false},
	[SET_AFFINITY_TIMEOUTS] = {nft_affinity_emit_timeout, true},
	[SET_AFFINITY_NUMBERS] = {nft_affinity_emit_numbers, true},
	[SET_AFFINITY_ENDPOINTS] = {nft_affinity_emit_endpoints, true},
	[SET_AFFINITY_LOCAL_ENDPOINTS] = {nft_affinity_emit_local_endpoints, true},
};

void nft_elements_each(const struct service *service, const struct environment *env,
		       struct nft_numbers *numbers,
		       void (*fn)(void *data, const struct nft_element *e), void *data)
{
	const struct frontend *frontends = service_frontends(service);
	struct nft_walk w = {
		.service = service,
		.env = env,
		.numbers = numbers,
		.fn = fn,
		.data = data,
	};

	if (service->affinity_sec)
		w.number = nft_numbers_service(numbers, service);

	/* the kernel drops packets translated from a loopback address: another sink has those */
	for (unsigned set = 0; set < SET_N; set++) {
		uint32_t n = service->n_frontends;

		if (emitters[set].is_once && n)
			n = 1;
		for (uint32_t i = 0; emitters[set].emit && i < n; i++)
			if (emitters[set].is_once ||
			    !addr_is_loopback(&frontends[i].addr))
				emitters[set].emit(&w, &frontends[i]);
	}
	for (unsigned pool = 0; pool < POOL_N; pool++)
		free(w.slots[pool]);
}

bool nft_element_of_node(const struct environment *env, const struct addr *addr,
			 struct nft_element *ret)
{
	enum family family = addr_family(addr);
	struct nft_element e = {.set = SET_NODE_ADDRESSES, .family = (uint8_t)family};

	if (!env->enabled[family] || addr_is_loopback(addr))
		return false;
	e.key_len = (uint8_t)nft_key_addr(e.key, 0, addr);
	*ret = e;
	return true;
}

void nft_elements_each_of_node(const struct environment *env,
			       void (*fn)(void *data, const struct nft_element *e),
			       void *data)
{
	struct nft_element e;

	for (enum family family = 0; family < FAMILY_N; family++)
		for (size_t i = 0; i < env->n_node_addresses[family]; i++)
			if (nft_element_of_node(env, &env->node_addresses[family][i], &e))
				fn(data, &e);
}
