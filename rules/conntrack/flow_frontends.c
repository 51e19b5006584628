#include "rules/conntrack/flow_frontends.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct flow_frontend {
	struct addr addr;
	uint16_t port;
	uint8_t proto;
	uint8_t zero;
};
_Static_assert(sizeof(struct flow_frontend) == 20, "compared as bytes");

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct flow_frontend));
}

static bool is_wanted(const struct service *s)
{
	return s && s->proto != IPPROTO_UDP;
}

static size_t count(const struct flow_frontends *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_services; i++)
		n += f->services[i]->n_frontends;
	return n;
}

static void collect(struct flow_frontends *f)
{
	f->sorted = xcalloc(count(f) + 1, sizeof(*f->sorted));
	for (size_t i = 0; i < f->n_services; i++) {
		const struct service *s = f->services[i];

		for (size_t j = 0; j < s->n_frontends; j++)
			f->sorted[f->n++] = (struct flow_frontend){
				.addr = service_frontends(s)[j].addr,
				.port = service_frontends(s)[j].port,
				.proto = s->proto,
			};
	}
	qsort(f->sorted, f->n, sizeof(*f->sorted), compare);
}

void flow_frontends_set(struct flow_frontends *f, const struct changeset *cs)
{
	flow_frontends_fini(f);
	for (enum family family = 0; family < FAMILY_N; family++)
		node_list_set(&f->nodes[family], cs->env, family);
	f->services = xcalloc(cs->n + 1, sizeof(struct service *));
	for (size_t i = 0; i < cs->n; i++)
		if (is_wanted(cs->changes[i].new))
			f->services[f->n_services++] = service_ref(cs->changes[i].new);
}

void flow_frontends_fini(struct flow_frontends *f)
{
	for (size_t i = 0; i < f->n_services; i++)
		service_unref(f->services[i]);
	for (enum family family = 0; family < FAMILY_N; family++)
		node_list_fini(&f->nodes[family]);
	free(f->services);
	free(f->sorted);
	*f = (struct flow_frontends){0};
}

bool flow_frontends_is_lost(struct flow_frontends *f, const struct flow *flow)
{
	struct flow_frontend key = {
		.addr = flow->original.dst,
		.port = flow->original.dst_port,
		.proto = flow->proto,
	};

	if (!flow->is_opening || flow->reply.src_port != key.port ||
	    !addr_equal(&flow->reply.src, &key.addr))
		return false;
	if (!f->sorted)
		collect(f);
	if (bsearch(&key, f->sorted, f->n, sizeof(key), compare))
		return true;
	if (!node_list_has(&f->nodes[addr_family(&key.addr)], &key.addr))
		return false;
	key.addr = addr_unspecified(addr_family(&key.addr));
	return bsearch(&key, f->sorted, f->n, sizeof(key), compare) != NULL;
}
