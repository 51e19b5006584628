/*
 * A sorted array: nothing is allocated for each counter.
 */
#include "proxy/engine/counts.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "proxy/engine/dataplane.h"
#include "rules/nft/nft.h"

struct count_key { /* compared with memcmp(): no padding */
	struct addr frontend, endpoint;
	uint16_t port, endpoint_port;
	uint8_t proto, is_endpoint;
	uint8_t zero[2];
};

struct count {
	struct count_key key;
	uint64_t n;
};

_Static_assert(sizeof(struct count_key) == 40, "keys have no padding");

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct count_key));
}

static void collect(void *data, const struct nft_count *count)
{
	struct counts *c = data;
	struct count_key key = {
		.frontend = count->frontend,
		.port = count->port,
		.proto = count->proto,
	};

	if (count->endpoint) {
		key.endpoint = count->endpoint->addr;
		key.endpoint_port = count->endpoint->port;
		key.is_endpoint = 1;
	}
	c->items = xgrow(c->items, c->n, &c->cap, sizeof(*c->items));
	c->items[c->n++] = (struct count){key, count->n_connections};
}

/* What stands in several maps is told several times. */
static void add_up(struct counts *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (n && compare(&c->items[n - 1], &c->items[i]) == 0)
			c->items[n - 1].n += c->items[i].n;
		else
			c->items[n++] = c->items[i];
	}
	c->n = n;
}

void counts_read(struct counts *c, const struct dataplane *dp, const struct changeset *of,
		 bool with_endpoints)
{
	*c = (struct counts){0};
	if (!dp->counts)
		return;
	if (dp->counts(dp->sinks[0], of, with_endpoints, collect, c) != 0) {
		log_warn("%s: connection counters can't be read", dp->mode);
		return;
	}
	if (c->n)
		qsort(c->items, c->n, sizeof(*c->items), compare);
	add_up(c);
	c->is_known = true;
}

void counts_fini(struct counts *c)
{
	free(c->items);
	*c = (struct counts){0};
}

static uint64_t find(const struct counts *c, const struct count_key *key)
{
	const struct count *found = NULL;

	if (c->n)
		found = bsearch(key, c->items, c->n, sizeof(*c->items), compare);
	return found ? found->n : 0;
}

uint64_t counts_frontend(const struct counts *c, const struct frontend *f, uint8_t proto)
{
	const struct count_key key = {.frontend = f->addr,
				      .port = f->port,
				      .proto = proto};

	return find(c, &key);
}

uint64_t counts_endpoint(const struct counts *c, const struct frontend *f, uint8_t proto,
			 const struct addr *addr, uint16_t port)
{
	const struct count_key key = {
		.frontend = f->addr,
		.endpoint = *addr,
		.port = f->port,
		.endpoint_port = port,
		.proto = proto,
		.is_endpoint = 1,
	};

	return find(c, &key);
}
