/*
 * Elements are requested by the keys that they should have, many at a time: the
 * time of a dump grows with the square of their number.
 *
 * A connection to a frontend with affinity is counted after its translation, in
 * `affinity-numbers`, whether its endpoint was picked or remembered.  Picked ones
 * are counted in `endpoints`, too, which is not reported then.
 */
#include "rules/nft/nft_inspect.h"

#include <errno.h>
#include <stdlib.h>

#include "core/mem.h"
#include "rules/nft/nft_elements.h"
#include "rules/nft/nft_read.h"

/* Keys of one set that are requested together. */
struct question {
	struct nft_element keys[NFT_READ_KEYS_MAX];
	const struct service *services[NFT_READ_KEYS_MAX];
	size_t n, n_done, n_answered;
};

struct counting {
	struct nft_link *link;
	bool with_endpoints;
	const struct service *service; /* the current one */
	struct nft_numbers *numbers;
	struct question questions[FAMILY_N][SET_N];
	struct question *asked; /* the current request */
	void (*fn)(void *data, const struct sink_count *count);
	void *data;
	int err;
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

/* bytes: an endpoint as in data and keys, or NULL for the frontend itself. */
static void report(const struct counting *c, const struct nft_element *e,
		   const uint8_t *bytes)
{
	const enum family family = e->family;
	struct sink_count count = {
		.frontend = addr_from_bytes(family, e->key),
		.proto = e->key[nft_shape_offset(SHAPE_FRONTEND, family, 1)],
		.port = port_at(e->key + nft_shape_offset(SHAPE_FRONTEND, family, 2)),
		.n_connections = e->n_packets,
	};

	if (bytes) {
		count.is_endpoint = true;
		count.endpoint = addr_from_bytes(family, bytes);
		count.endpoint_port =
			port_at(bytes + nft_shape_offset(SHAPE_ENDPOINT, family, 1));
	}
	c->fn(c->data, &count);
}

/* Of an endpoint of a service with affinity: counted for all frontends in one place. */
static void report_numbered(const struct counting *c, const struct service *service,
			    const struct nft_element *e)
{
	const struct frontend *first = service_frontends(service);
	struct nft_element of_frontend = *e;

	of_frontend.key_len = (uint8_t)nft_key_frontend(of_frontend.key, &first->addr,
							service->proto, first->port);
	report(c, &of_frontend, e->key + nft_shape_offset(SHAPE_NUMBERED, e->family, 1));
}

static void take_answer(void *data, const struct nft_read_element *read)
{
	struct counting *c = data;
	const struct nft_element *e = &read->e;
	size_t at = c->asked->n_done + c->asked->n_answered++;
	const struct service *service = c->asked->services[at];

	if (!is_whole(e))
		return;
	if (e->set == SET_ENDPOINTS)
		report(c, e, e->value);
	else if (e->set == SET_AFFINITY_NUMBERS)
		report_numbered(c, service, e);
	else
		report(c, e, NULL);
}

/* Requests all of them; a missing one is skipped. */
static int ask(struct counting *c, struct question *q)
{
	c->asked = q;
	q->n_done = 0;
	while (q->n_done < q->n) {
		int err;

		q->n_answered = 0;
		err = nft_read_keys(c->link, q->keys + q->n_done, q->n - q->n_done,
				    take_answer, c);
		if (err && err != -ENOENT)
			return err;
		q->n_done = err ? q->n_done + q->n_answered + 1 : q->n;
	}
	q->n = 0;
	return 0;
}

static bool is_counted(const struct counting *c, enum nft_set set)
{
	switch ((int)set) {
	case SET_FRONTENDS:
	case SET_INTERNAL_FRONTENDS:
		return true;
	case SET_ENDPOINTS:
		return c->with_endpoints && !c->service->affinity_sec;
	case SET_AFFINITY_NUMBERS:
		return c->with_endpoints;
	}
	return false;
}

static void add_key(void *data, const struct nft_element *e)
{
	struct counting *c = data;
	struct question *q = &c->questions[e->family][e->set];

	if (c->err || !is_counted(c, e->set))
		return;
	q->services[q->n] = c->service;
	q->keys[q->n++] = *e;
	if (q->n == NFT_READ_KEYS_MAX)
		c->err = ask(c, q);
}

int nft_counts_each(struct nft_kernel *k, const struct changeset *of, bool with_endpoints,
		    void (*fn)(void *data, const struct sink_count *count), void *data)
{
	struct counting *c = xcalloc(1, sizeof(*c));
	int err;

	c->link = &k->link;
	c->numbers = &k->numbers;
	c->with_endpoints = with_endpoints;
	c->fn = fn;
	c->data = data;
	for (size_t i = 0; i < of->n && !c->err; i++) {
		const struct service *service = of->changes[i].new;

		c->service = service;
		if (of->env->enabled[service->family])
			nft_elements_each(service, of->env, c->numbers, add_key, c);
	}
	for (unsigned family = 0; family < FAMILY_N; family++)
		for (unsigned set = 0; set < SET_N && !c->err; set++)
			c->err = ask(c, &c->questions[family][set]);
	err = c->err;
	free(c);
	return err;
}
