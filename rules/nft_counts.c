/*
 * Frontends are dumped, and their chains say how many endpoints to ask for:
 * a dump of all endpoints would take time with the square of their number.
 *
 * A connection to a sticky frontend is counted once it is translated, in
 * `sticky-endpoints`, whether its endpoint was picked or remembered.  Those that
 * were picked counted in `endpoints`, too, which is not told of then.
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

/* Keys of one set that are asked for together. */
struct question {
	struct nft_element keys[NFT_READ_KEYS_MAX];
	size_t n, n_answered;
};

struct counting {
	struct nft_link *link;
	struct nft_element *frontends; /* of one map */
	size_t n, cap;
	struct nft_keys told; /* sticky endpoints: both pools may have one */
	struct question plain, sticky, chosen;
	void (*fn)(void *data, const struct nft_count *count);
	void *data;
};

static bool is_whole(const struct nft_element *e)
{
	const struct nft_set_info *info = nft_set_info(e->set);

	return e->key_len == nft_shape_len(info->key, e->family) &&
	       (!info->data || e->value_len == nft_shape_len(info->data, e->family));
}

static uint16_t port_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* bytes: an endpoint as it stands in data and keys, or NULL for the frontend itself. */
static void tell(const struct counting *c, const struct nft_element *e,
		 const uint8_t *bytes)
{
	const enum family family = e->family;
	struct endpoint endpoint;
	struct nft_count count = {
		.frontend = addr_from_bytes(family, e->key),
		.proto = e->key[nft_shape_offset(SHAPE_FRONTEND, family, 1)],
		.port = port_at(e->key + nft_shape_offset(SHAPE_FRONTEND, family, 2)),
		.n_connections = e->n_packets,
	};

	if (bytes) {
		endpoint = (struct endpoint){
			.addr = addr_from_bytes(family, bytes),
			.port = port_at(bytes +
					nft_shape_offset(SHAPE_ENDPOINT, family, 1)),
		};
		count.endpoint = &endpoint;
	}
	c->fn(c->data, &count);
}

/* Asks for all of them; one that went meanwhile is passed over. */
static int ask(struct counting *c, struct question *q,
	       void (*fn)(void *data, const struct nft_read_element *read))
{
	size_t done = 0;

	while (done < q->n) {
		int err;

		q->n_answered = 0;
		err = nft_read_keys(c->link, q->keys + done, q->n - done, fn, c);
		if (err && err != -ENOENT)
			return err;
		done = err ? done + q->n_answered + 1 : q->n;
	}
	q->n = 0;
	return 0;
}

static void take_chosen(void *data, const struct nft_read_element *read)
{
	struct counting *c = data;

	c->chosen.n_answered++;
	if (is_whole(&read->e))
		tell(c, &read->e,
		     read->e.key + nft_shape_len(SHAPE_FRONTEND, read->e.family));
}

static void take_plain(void *data, const struct nft_read_element *read)
{
	struct counting *c = data;

	c->plain.n_answered++;
	if (is_whole(&read->e))
		tell(c, &read->e, read->e.value);
}

/* Which endpoint stands in this slot; its connections are counted elsewhere. */
static void take_sticky(void *data, const struct nft_read_element *read)
{
	struct counting *c = data;
	const struct nft_element *e = &read->e;
	size_t len = nft_shape_len(SHAPE_FRONTEND, e->family);
	struct nft_element key = {.set = SET_STICKY_ENDPOINTS, .family = e->family};

	c->sticky.n_answered++;
	if (!is_whole(e))
		return;
	key.key_len = (uint8_t)(len + e->value_len);
	memcpy(key.key, e->key, len);
	memcpy(key.key + len, e->value, e->value_len);
	if (nft_keys_has(&c->told, key.key, key.key_len))
		return;
	nft_keys_put(&c->told, key.key, key.key_len);
	c->chosen.keys[c->chosen.n++] = key; /* as many as were asked for, at most */
}

static int ask_plain(struct counting *c)
{
	return ask(c, &c->plain, take_plain);
}

static int ask_sticky(struct counting *c)
{
	int err = ask(c, &c->sticky, take_sticky);

	return err ? err : ask(c, &c->chosen, take_chosen);
}

static int count_slot(struct counting *c, bool is_sticky, const struct nft_element *key)
{
	struct question *q = is_sticky ? &c->sticky : &c->plain;

	q->keys[q->n++] = *key;
	if (q->n < NFT_READ_KEYS_MAX)
		return 0;
	return is_sticky ? ask_sticky(c) : ask_plain(c);
}

/* The slots of the pool that a frontend leads to. */
static int count_endpoints(struct counting *c, const struct nft_element *frontend)
{
	const struct nft_verdict v = nft_element_verdict(frontend);
	bool is_sticky =
		v.chain.kind == CHAIN_STICKY || v.chain.kind == CHAIN_STICKY_LOCAL;
	bool is_local =
		v.chain.kind == CHAIN_PICK_LOCAL || v.chain.kind == CHAIN_STICKY_LOCAL;
	struct nft_element key = *frontend;
	int err = 0;

	if (v.code != VERDICT_GOTO ||
	    (!is_sticky && !is_local && v.chain.kind != CHAIN_PICK))
		return 0;
	key.set = SET_ENDPOINTS;
	key.key_len = (uint8_t)(key.key_len + sizeof(uint32_t));
	for (uint32_t i = 0; !err && i < v.chain.number && i < NFT_LOCAL_SLOT; i++) {
		const uint32_t slot = is_local ? NFT_LOCAL_SLOT + i : i;

		memcpy(key.key + frontend->key_len, &slot, sizeof(slot));
		err = count_slot(c, is_sticky, &key);
	}
	return err;
}

static void take_frontend(void *data, const struct nft_read_element *read)
{
	struct counting *c = data;

	if (!is_whole(&read->e) || !read->e.value_len)
		return;
	c->frontends = xgrow(c->frontends, c->n, &c->cap, sizeof(*c->frontends));
	c->frontends[c->n++] = read->e;
}

static int read_frontends(struct counting *c, enum family family, enum nft_set set)
{
	int err = -EINTR;

	for (unsigned i = 0; i < TRIES_MAX && err == -EINTR; i++) {
		c->n = 0;
		err = nft_read_elements(c->link, family, set, take_frontend, c);
	}
	return err;
}

static int count_map(struct counting *c, enum family family, enum nft_set set)
{
	int err = read_frontends(c, family, set);

	for (size_t i = 0; !err && i < c->n; i++) {
		tell(c, &c->frontends[i], NULL);
		err = count_endpoints(c, &c->frontends[i]);
	}
	if (!err)
		err = ask_plain(c);
	return err ? err : ask_sticky(c);
}

int nft_counts_each(struct nft_link *link,
		    void (*fn)(void *data, const struct nft_count *count), void *data)
{
	static const uint8_t maps[] = {SET_FRONTENDS, SET_FRONTENDS_INSIDE};
	struct counting *c = xcalloc(1, sizeof(*c));
	int err = 0;

	c->link = link;
	c->fn = fn;
	c->data = data;
	nft_keys_init(&c->told);
	for (unsigned family = 0; family < FAMILY_N; family++)
		for (size_t i = 0; i < N_ELEMENTS(maps) && !err; i++) {
			err = count_map(c, family, maps[i]);
			if (err == -ENOENT) /* not programmed: nothing was counted */
				err = 0;
		}
	nft_keys_fini(&c->told);
	free(c->frontends);
	free(c);
	return err;
}
