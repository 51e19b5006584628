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

static size_t count(const struct changeset *cs)
{
	size_t n = 0;

	for (size_t i = 0; i < cs->n; i++)
		if (is_wanted(cs->changes[i].new))
			n += cs->changes[i].new->n_frontends;
	return n;
}

static void collect(struct flow_frontends *f)
{
	f->sorted = xcalloc(count(f->cs) + 1, sizeof(*f->sorted));
	for (size_t i = 0; i < f->cs->n; i++) {
		const struct service *s = f->cs->changes[i].new;

		for (size_t j = 0; is_wanted(s) && j < s->n_frontends; j++)
			f->sorted[f->n++] = (struct flow_frontend){
				.addr = service_frontends(s)[j].addr,
				.port = service_frontends(s)[j].port,
				.proto = s->proto,
			};
	}
	qsort(f->sorted, f->n, sizeof(*f->sorted), compare);
}

void flow_frontends_fini(struct flow_frontends *f)
{
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
	if (!environment_has_node_address(f->cs->env, &key.addr))
		return false;
	key.addr = addr_unspecified(addr_family(&key.addr));
	return bsearch(&key, f->sorted, f->n, sizeof(key), compare) != NULL;
}
