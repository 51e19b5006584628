/*
 * A connection to a sticky frontend is counted once it is translated, in
 * `sticky-endpoints`, whether its endpoint was picked or remembered.  Those that
 * were picked counted in `endpoints`, too: there such frontends are passed over.
 */
#include "rules/nft_inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft_keys.h"
#include "rules/nft_read.h"

#define TRIES_MAX 10

struct counted {
	struct nft_element e;
	uint64_t n_packets;
};

struct counting {
	struct counted *items; /* of one set */
	size_t n, cap;
	struct nft_keys sticky; /* frontends */
	void (*fn)(void *data, const struct nft_count *count);
	void *data;
};

static void collect(void *data, const struct nft_read_element *read)
{
	struct counting *c = data;
	const struct nft_set_info *info = nft_set_info(read->e.set);

	if (read->e.key_len != nft_shape_len(info->key, read->e.family) ||
	    (info->data &&
	     read->e.value_len != nft_shape_len(info->data, read->e.family)))
		return;
	c->items = xgrow(c->items, c->n, &c->cap, sizeof(*c->items));
	c->items[c->n++] = (struct counted){read->e, read->n_packets};
}

static int read_set(struct nft_link *link, enum family family, enum nft_set set,
		    struct counting *c)
{
	int err = -EINTR;

	for (unsigned i = 0; i < TRIES_MAX && err == -EINTR; i++) {
		c->n = 0;
		err = nft_read_elements(link, family, set, collect, c);
	}
	return err;
}

static uint16_t port_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static struct endpoint endpoint_at(enum family family, const uint8_t *bytes)
{
	size_t port = nft_shape_offset(SHAPE_ENDPOINT, family, 1);

	return (struct endpoint){
		.addr = addr_from_bytes(family, bytes),
		.port = port_at(bytes + port),
	};
}

static void tell(const struct counting *c, const struct counted *item)
{
	const struct nft_element *e = &item->e;
	size_t proto = nft_shape_offset(SHAPE_FRONTEND, e->family, 1);
	size_t port = nft_shape_offset(SHAPE_FRONTEND, e->family, 2);
	size_t end = nft_shape_len(SHAPE_FRONTEND, e->family);
	struct endpoint endpoint;
	struct nft_count count = {
		.frontend = addr_from_bytes(e->family, e->key),
		.proto = e->key[proto],
		.port = port_at(e->key + port),
		.n_connections = item->n_packets,
	};

	if (e->set == SET_ENDPOINTS && nft_keys_has(&c->sticky, e->key, end))
		return;
	if (e->set == SET_ENDPOINTS || e->set == SET_STICKY_ENDPOINTS) {
		endpoint = endpoint_at(e->family,
				       e->set == SET_ENDPOINTS ? e->value : e->key + end);
		count.endpoint = &endpoint;
	}
	c->fn(c->data, &count);
}

static int count_family(struct nft_link *link, enum family family, struct counting *c)
{
	static const uint8_t sets[] = {SET_FRONTENDS, SET_FRONTENDS_INSIDE, SET_ENDPOINTS,
				       SET_STICKY_ENDPOINTS};
	int err = read_set(link, family, SET_STICKY, c);

	for (size_t i = 0; !err && i < c->n; i++)
		nft_keys_put(&c->sticky, c->items[i].e.key, c->items[i].e.key_len);
	for (size_t s = 0; !err && s < N_ELEMENTS(sets); s++) {
		err = read_set(link, family, sets[s], c);
		for (size_t i = 0; !err && i < c->n; i++)
			tell(c, &c->items[i]);
	}
	return err == -ENOENT ? 0 : err; /* not programmed: nothing was counted */
}

int nft_counts_each(struct nft_link *link,
		    void (*fn)(void *data, const struct nft_count *count), void *data)
{
	struct counting c = {.fn = fn, .data = data};
	int err = 0;

	nft_keys_init(&c.sticky);
	for (unsigned family = 0; family < FAMILY_N && !err; family++)
		err = count_family(link, family, &c);
	nft_keys_fini(&c.sticky);
	free(c.items);
	return err;
}
