#include "rules/nft/nft_walk.h"

#include "core/cleanup.h"
#include "rules/nft/nft_slots.h"

void nft_walk_start(struct nft_walk *w, enum nft_set set)
{
	w->e = (struct nft_element){
		.set = (uint8_t)set,
		.family = w->service->family,
	};
}

void nft_walk_add_addr(struct nft_walk *w, const struct addr *addr)
{
	w->e.key_len = (uint8_t)nft_key_addr(w->e.key, w->e.key_len, addr);
}

void nft_walk_start_frontend(struct nft_walk *w, enum nft_set set,
			     const struct frontend *f)
{
	nft_walk_start(w, set);
	w->e.key_len =
		(uint8_t)nft_key_frontend(w->e.key, &f->addr, w->service->proto, f->port);
}

void nft_walk_start_number(struct nft_walk *w, enum nft_set set, uint32_t number)
{
	nft_walk_start(w, set);
	w->e.key_len = (uint8_t)nft_key_u32(w->e.key, 0, number);
}

void nft_walk_set_endpoint(struct nft_walk *w, const struct endpoint *endpoint)
{
	size_t len = nft_key_addr(w->e.value, 0, &endpoint->addr);

	w->e.value_len = (uint8_t)nft_key_port(w->e.value, len, endpoint->port);
}

void nft_walk_set_number(struct nft_walk *w, uint32_t number)
{
	w->e.value_len = (uint8_t)nft_key_u32(w->e.value, 0, number);
}

void nft_walk_emit(struct nft_walk *w)
{
	w->fn(w->data, &w->e);
}

void nft_walk_emit_verdict(struct nft_walk *w, struct nft_verdict v)
{
	nft_element_set_verdict(&w->e, v);
	nft_walk_emit(w);
}

enum action nft_walk_action(const struct service *s, const struct decision *d)
{
	if (d->action == ACTION_BALANCE && nft_pool_size(s, d->pool) == 0)
		return ACTION_REJECT;
	return d->action;
}

bool nft_walk_is_balanced(const struct nft_walk *w, const struct decision *d)
{
	return nft_walk_action(w->service, d) == ACTION_BALANCE;
}

unsigned nft_walk_pools(const struct nft_walk *w, const struct frontend *f)
{
	static const uint8_t sources[] = {CLIENT_NODE, CLIENT_EXTERNAL};
	unsigned pools = 0;

	for (size_t i = 0; i < N_ELEMENTS(sources); i++)
		if (nft_walk_is_balanced(w, &f->from[sources[i]]))
			pools |= 1u << f->from[sources[i]].pool;
	return pools;
}
