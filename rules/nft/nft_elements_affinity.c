#include "rules/nft/nft_walk.h"

static bool has_affinity(const struct nft_walk *w, const struct frontend *f)
{
	return w->number && nft_walk_pools(w, f) != 0;
}

void nft_affinity_emit_service(struct nft_walk *w, const struct frontend *f)
{
	if (!has_affinity(w, f))
		return;
	nft_walk_start_frontend(w, SET_AFFINITY_SERVICES, f);
	nft_walk_set_number(w, w->number);
	nft_walk_emit(w);
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

void nft_affinity_emit_timeout(struct nft_walk *w, const struct frontend *f)
{
	if (!w->number)
		return;
	nft_walk_start_number(w, SET_AFFINITY_TIMEOUTS, w->number);
	nft_walk_emit_verdict(w, (struct nft_verdict){
					 .code = VERDICT_GOTO,
					 .chain = {CHAIN_AFFINITY_LEARN_FOR,
						   nft_affinity_timeout(
							   w->service->affinity_sec)},
				 });
}

void nft_affinity_emit_numbers(struct nft_walk *w, const struct frontend *f)
{
	const struct endpoint *endpoints = service_endpoints(w->service);

	for (uint32_t i = 0; w->number && i < w->service->n_endpoints; i++) {
		const struct endpoint *e = &endpoints[i];
		uint32_t number = 0;

		if (e->flags & (ENDPOINT_CLUSTER | ENDPOINT_LOCAL))
			number = nft_numbers_endpoint(w->numbers, w->service, e);
		if (!number)
			continue;
		nft_walk_start(w, SET_AFFINITY_NUMBERS);
		w->e.key_len =
			(uint8_t)nft_key_numbered(w->e.key, w->number, &e->addr, e->port);
		nft_walk_set_number(w, number);
		nft_walk_emit(w);
	}
}

static void emit_pool(struct nft_walk *w, enum nft_set set, unsigned flag)
{
	const struct endpoint *endpoints = service_endpoints(w->service);

	for (uint32_t i = 0; w->number && i < w->service->n_endpoints; i++) {
		uint32_t number = 0;

		if (endpoints[i].flags & flag)
			number = nft_numbers_endpoint(w->numbers, w->service,
						      &endpoints[i]);
		if (!number)
			continue;
		nft_walk_start_number(w, set, number);
		nft_walk_set_endpoint(w, &endpoints[i]);
		nft_walk_emit(w);
	}
}

void nft_affinity_emit_endpoints(struct nft_walk *w, const struct frontend *f)
{
	emit_pool(w, SET_AFFINITY_ENDPOINTS, ENDPOINT_CLUSTER);
}

void nft_affinity_emit_local_endpoints(struct nft_walk *w, const struct frontend *f)
{
	emit_pool(w, SET_AFFINITY_LOCAL_ENDPOINTS, ENDPOINT_LOCAL);
}
