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

struct walk {
	const struct service *service;
	const struct environment *env;
	void (*fn)(void *data, const struct nft_element *e);
	void *data;
	struct nft_numbers *numbers;
	uint32_t number;		       /* the service's; 0: no affinity */
	const struct endpoint **slots[POOL_N]; /* NULL: not asked for yet */
	struct nft_element e; /* its key is built up from left to right */
};

static void key_start(struct walk *w, enum nft_set set)
{
	w->e = (struct nft_element){
		.set = (uint8_t)set,
		.family = w->service->family,
	};
}

static void key_addr(struct walk *w, const struct addr *addr)
{
	w->e.key_len = (uint8_t)nft_key_addr(w->e.key, w->e.key_len, addr);
}

static void key_frontend(struct walk *w, enum nft_set set, const struct frontend *f)
{
	key_start(w, set);
	w->e.key_len =
		(uint8_t)nft_key_frontend(w->e.key, &f->addr, w->service->proto, f->port);
}

static void key_number(struct walk *w, enum nft_set set, uint32_t number)
{
	key_start(w, set);
	w->e.key_len = (uint8_t)nft_key_u32(w->e.key, 0, number);
}

static void value_endpoint(struct walk *w, const struct endpoint *endpoint)
{
	size_t len = nft_key_addr(w->e.value, 0, &endpoint->addr);

	w->e.value_len = (uint8_t)nft_key_port(w->e.value, len, endpoint->port);
}

static void value_number(struct walk *w, uint32_t number)
{
	w->e.value_len = (uint8_t)nft_key_u32(w->e.value, 0, number);
}

static void emit(struct walk *w)
{
	w->fn(w->data, &w->e);
}

static void emit_verdict(struct walk *w, struct nft_verdict v)
{
	nft_element_set_verdict(&w->e, v);
	emit(w);
}

/* Balancing over nothing is refusing: there is no chain that picks out of none. */
static enum action action_of(const struct service *s, const struct decision *d)
{
	if (d->action == ACTION_BALANCE && nft_pool_size(s, d->pool) == 0)
		return ACTION_REJECT;
	return d->action;
}

static bool is_balanced(const struct walk *w, const struct decision *d)
{
	return action_of(w->service, d) == ACTION_BALANCE;
}

static struct nft_verdict pick_verdict(const struct walk *w, uint8_t pool)
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

static void emit_frontend(struct walk *w, const struct frontend *f)
{
	const struct decision *d = &f->from[CLIENT_EXTERNAL];

	if (!is_balanced(w, d))
		return;
	key_frontend(w, SET_FRONTENDS, f);
	emit_verdict(w, pick_verdict(w, d->pool));
}

/* Where only the outside is served, inside goes past `frontends` to `empty`. */
static void emit_frontend_inside(struct walk *w, const struct frontend *f)
{
	const struct decision *inside = &f->from[CLIENT_NODE];
	const struct decision *outside = &f->from[CLIENT_EXTERNAL];

	if (is_balanced(w, inside)) {
		if (is_balanced(w, outside) && inside->pool == outside->pool)
			return;
		key_frontend(w, SET_INTERNAL_FRONTENDS, f);
		emit_verdict(w, pick_verdict(w, inside->pool));
	} else if (is_balanced(w, outside)) {
		key_frontend(w, SET_INTERNAL_FRONTENDS, f);
		emit_verdict(w, (struct nft_verdict){.code = VERDICT_ACCEPT});
	}
}

static void emit_empty(struct walk *w, const struct frontend *f)
{
	enum action inside = action_of(w->service, &f->from[CLIENT_NODE]);
	enum action outside = action_of(w->service, &f->from[CLIENT_EXTERNAL]);
	enum action action = outside != ACTION_BALANCE ? outside : inside;

	if (action == ACTION_BALANCE)
		return;
	key_frontend(w, SET_NO_ENDPOINTS, f);
	emit_verdict(w, refuse_verdict(action));
}

/* Does the rule for all cluster addresses implement the decision for this one? */
static bool is_masked_by_address(const struct walk *w, const struct frontend *f)
{
	return f->kind == FRONTEND_CLUSTER_IP &&
	       (w->env->masquerade_all ||
		environment_has_detector(w->env, w->service->family));
}

static void emit_masked(struct walk *w, const struct frontend *f)
{
	if (!f->from[CLIENT_EXTERNAL].masquerade || is_masked_by_address(w, f))
		return;
	key_frontend(w, SET_MASQUERADE_ALWAYS, f);
	emit(w);
}

static void emit_local_policy(struct walk *w, const struct frontend *f)
{
	if (f->from[CLIENT_EXTERNAL].masquerade || !f->from[CLIENT_NODE].masquerade ||
	    is_masked_by_address(w, f))
		return;
	key_frontend(w, SET_MASQUERADE_FROM_NODE, f);
	emit(w);
}

static void emit_cluster_ip(struct walk *w, const struct frontend *f)
{
	if (f->kind != FRONTEND_CLUSTER_IP)
		return;
	key_start(w, SET_CLUSTER_IPS);
	key_addr(w, &f->addr);
	emit(w);
}

static void emit_external_address(struct walk *w, const struct frontend *f)
{
	if (f->kind != FRONTEND_EXTERNAL_IP && f->kind != FRONTEND_LOAD_BALANCER)
		return;
	key_start(w, SET_EXTERNAL_ADDRESSES);
	key_addr(w, &f->addr);
	emit(w);
}

static void emit_limited(struct walk *w, const struct frontend *f)
{
	if (!f->is_limited)
		return;
	key_frontend(w, SET_SOURCE_LIMITED, f);
	emit(w);
}

static void emit_source_drop(struct walk *w, const struct frontend *f)
{
	if (!f->is_limited)
		return;
	key_frontend(w, SET_SOURCE_DROPS, f);
	emit_verdict(w, (struct nft_verdict){.code = VERDICT_DROP});
}

static void emit_range(struct walk *w, const struct frontend *f, const struct cidr *range)
{
	struct addr first, last;
	uint8_t prefix_len;

	cidr_range(range, &first, &last);
	key_frontend(w, SET_SOURCE_RANGES, f);
	prefix_len = w->e.key_len;
	key_addr(w, &first);
	memcpy(w->e.key + w->e.key_len, w->e.key, prefix_len);
	w->e.key_len = (uint8_t)(w->e.key_len + prefix_len);
	key_addr(w, &last);
	emit(w);
}

/*
 * The kernel takes no ranges that overlap. They are ordered by address, then
 * length, so whatever holds a range comes before it; the last one taken is enough.
 */
static void emit_allowed(struct walk *w, const struct frontend *f)
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

/* One bit for each pool that a class of client is balanced over. */
static unsigned used_pools(const struct walk *w, const struct frontend *f)
{
	static const uint8_t sources[] = {CLIENT_NODE, CLIENT_EXTERNAL};
	unsigned pools = 0;

	for (size_t i = 0; i < N_ELEMENTS(sources); i++)
		if (is_balanced(w, &f->from[sources[i]]))
			pools |= 1u << f->from[sources[i]].pool;
	return pools;
}

static void emit_slot(struct walk *w, const struct frontend *f, uint32_t slot,
		      const struct endpoint *endpoint)
{
	key_frontend(w, SET_ENDPOINTS, f);
	w->e.key_len = (uint8_t)nft_key_u32(w->e.key, w->e.key_len, slot);
	value_endpoint(w, endpoint);
	emit(w);
}

static void emit_pool(struct walk *w, const struct frontend *f, enum pool pool)
{
	uint32_t n = nft_pool_size(w->service, pool);

	if (!w->slots[pool])
		w->slots[pool] = nft_slots_assign(w->service, pool);
	for (uint32_t i = 0; i < n; i++)
		emit_slot(w, f, pool * NFT_LOCAL_SLOT + i, w->slots[pool][i]);
}

static void emit_endpoints(struct walk *w, const struct frontend *f)
{
	unsigned pools = used_pools(w, f);

	for (unsigned pool = 0; pool < POOL_N; pool++)
		if (pools & 1u << pool)
			emit_pool(w, f, pool);
}

static bool has_affinity(const struct walk *w, const struct frontend *f)
{
	return w->number && used_pools(w, f) != 0;
}

static void emit_affinity_service(struct walk *w, const struct frontend *f)
{
	if (!has_affinity(w, f))
		return;
	key_frontend(w, SET_AFFINITY_SERVICES, f);
	value_number(w, w->number);
	emit(w);
}

uint32_t nft_affinity_timeout(uint32_t sec)
{
	static const struct {
		uint32_t up_to, step;
	} ranges[] = {{120, 1}, {1200, 10}, {3600, 30}, {UINT32_MAX, 300}};
	size_t i = 0;

	while (sec > ranges[i].up_to)
		i++;
	return (sec + ranges[i].step - 1) / ranges[i].step * ranges[i].step;
}

static void emit_affinity_timeout(struct walk *w, const struct frontend *f)
{
	if (!w->number)
		return;
	key_number(w, SET_AFFINITY_TIMEOUTS, w->number);
	emit_verdict(w, (struct nft_verdict){
				.code = VERDICT_GOTO,
				.chain = {CHAIN_AFFINITY_LEARN_FOR,
					  nft_affinity_timeout(w->service->affinity_sec)},
			});
}

static void emit_affinity_numbers(struct walk *w, const struct frontend *f)
{
	const struct endpoint *endpoints = service_endpoints(w->service);

	for (uint32_t i = 0; w->number && i < w->service->n_endpoints; i++) {
		const struct endpoint *e = &endpoints[i];
		uint32_t number = 0;

		if (e->flags & (ENDPOINT_CLUSTER | ENDPOINT_LOCAL))
			number = nft_numbers_endpoint(w->numbers, w->service, e);
		if (!number)
			continue;
		key_start(w, SET_AFFINITY_NUMBERS);
		w->e.key_len =
			(uint8_t)nft_key_numbered(w->e.key, w->number, &e->addr, e->port);
		value_number(w, number);
		emit(w);
	}
}

static void emit_affinity_pool(struct walk *w, enum nft_set set, unsigned flag)
{
	const struct endpoint *endpoints = service_endpoints(w->service);

	for (uint32_t i = 0; w->number && i < w->service->n_endpoints; i++) {
		uint32_t number = 0;

		if (endpoints[i].flags & flag)
			number = nft_numbers_endpoint(w->numbers, w->service,
						      &endpoints[i]);
		if (!number)
			continue;
		key_number(w, set, number);
		value_endpoint(w, &endpoints[i]);
		emit(w);
	}
}

static void emit_affinity_endpoints(struct walk *w, const struct frontend *f)
{
	emit_affinity_pool(w, SET_AFFINITY_ENDPOINTS, ENDPOINT_CLUSTER);
}

static void emit_affinity_local_endpoints(struct walk *w, const struct frontend *f)
{
	emit_affinity_pool(w, SET_AFFINITY_LOCAL_ENDPOINTS, ENDPOINT_LOCAL);
}

static void emit_hairpin(struct walk *w, const struct frontend *f)
{
	const struct endpoint *endpoints = service_endpoints(w->service);

	for (uint32_t i = 0; i < w->service->n_endpoints; i++) {
		if (!(endpoints[i].flags & ENDPOINT_HERE) ||
		    !(endpoints[i].flags & (ENDPOINT_CLUSTER | ENDPOINT_LOCAL)))
			continue;
		key_start(w, SET_HAIRPIN);
		key_addr(w, &endpoints[i].addr);
		key_addr(w, &endpoints[i].addr);
		emit(w);
	}
}

static const struct {
	void (*emit)(struct walk *w, const struct frontend *f);
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
	[SET_AFFINITY_SERVICES] = {emit_affinity_service, false},
	[SET_AFFINITY_TIMEOUTS] = {emit_affinity_timeout, true},
	[SET_AFFINITY_NUMBERS] = {emit_affinity_numbers, true},
	[SET_AFFINITY_ENDPOINTS] = {emit_affinity_endpoints, true},
	[SET_AFFINITY_LOCAL_ENDPOINTS] = {emit_affinity_local_endpoints, true},
};

void nft_elements_each(const struct service *service, const struct environment *env,
		       struct nft_numbers *numbers,
		       void (*fn)(void *data, const struct nft_element *e), void *data)
{
	const struct frontend *frontends = service_frontends(service);
	struct walk w = {
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
