/*
 * Elements are requested by the keys that they should have, many at a time: the
 * time of a dump grows with the square of their number.
 *
 * A connection to a frontend with affinity is counted after its translation, in
 * `affinity-numbers`, whether its endpoint was picked or remembered.  Picked ones
 * are counted in `endpoints`, too, which is not reported then.
 *
 * Clients that get no endpoint pass `no-endpoints`, and those outside of the source
 * ranges `source-drops`, with each packet that could start a connection.
 */
#include "rules/nft/nft_inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	uint64_t epochs[FAMILY_N];
	const struct service *service; /* the current one */
	struct nft_numbers *numbers;
	struct question *questions[FAMILY_N][SET_N]; /* NULL: no key yet */
	struct question *asked;			     /* the current request */
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

static enum sink_count_kind kind_of(const struct nft_element *e)
{
	if (e->set == SET_SOURCE_DROPS)
		return COUNT_SOURCE_RANGES;
	if (e->set != SET_NO_ENDPOINTS)
		return COUNT_CONNECTIONS;
	return nft_element_verdict(e).code == VERDICT_DROP ? COUNT_NO_LOCAL_ENDPOINTS
							   : COUNT_NO_ENDPOINTS;
}

/* Slots of the two pools count apart, other elements by set. */
static uint8_t counter_of(const struct nft_element *e)
{
	uint32_t slot;

	if (e->set != SET_ENDPOINTS)
		return e->set;
	memcpy(&slot, e->key + nft_shape_offset(SHAPE_SLOT, e->family, 3), sizeof(slot));
	return slot < NFT_LOCAL_SLOT ? e->set : SET_N;
}

/* bytes: an endpoint as in data and keys, or NULL for the frontend itself. */
static void report(const struct counting *c, const struct service *service,
		   const struct nft_element *e, const uint8_t *bytes)
{
	const enum family family = e->family;
	struct sink_count count = {
		.frontend = addr_from_bytes(family, e->key),
		.port = port_at(e->key + nft_shape_offset(SHAPE_FRONTEND, family, 2)),
		.kind = (uint8_t)kind_of(e),
		.counter = counter_of(e),
		.epoch = c->epochs[family],
		.service = service,
		.n = e->n_packets,
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
	report(c, service, &of_frontend,
	       e->key + nft_shape_offset(SHAPE_NUMBERED, e->family, 1));
}

/* Clients inside that are refused where those outside are balanced. */
static bool is_passed_on(const struct nft_element *e)
{
	return e->set == SET_INTERNAL_FRONTENDS &&
	       nft_element_verdict(e).code == VERDICT_ACCEPT;
}

static void take_answer(void *data, const struct nft_read_element *read)
{
	struct counting *c = data;
	const struct nft_element *e = &read->e;
	size_t at = c->asked->n_done + c->asked->n_answered++;
	const struct service *service = c->asked->services[at];

	if (!is_whole(e) || is_passed_on(e))
		return;
	if (e->set == SET_ENDPOINTS)
		report(c, service, e, e->value);
	else if (e->set == SET_AFFINITY_NUMBERS)
		report_numbered(c, service, e);
	else
		report(c, service, e, NULL);
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
	case SET_NO_ENDPOINTS:
	case SET_SOURCE_DROPS:
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
	struct question *q = c->questions[e->family][e->set];

	if (c->err || !is_counted(c, e->set))
		return;
	if (!q)
		q = c->questions[e->family][e->set] = xcalloc(1, sizeof(*q));
	q->services[q->n] = c->service;
	q->keys[q->n++] = *e;
	if (q->n == NFT_READ_KEYS_MAX)
		c->err = ask(c, q);
}

static int read_epochs(struct counting *c)
{
	struct nft_table_info table;
	int err = 0;

	for (enum family family = 0; family < FAMILY_N && !err; family++) {
		err = nft_read_table(c->link, family, &table);
		if (!err)
			c->epochs[family] = table.handle;
	}
	return err;
}

int nft_counts_each(struct nft_kernel *k, const struct changeset *of, bool with_endpoints,
		    void (*fn)(void *data, const struct sink_count *count), void *data)
{
	struct counting c = {
		.link = &k->link,
		.numbers = &k->numbers,
		.with_endpoints = with_endpoints,
		.fn = fn,
		.data = data,
	};

	c.err = read_epochs(&c);
	for (size_t i = 0; i < of->n && !c.err; i++) {
		c.service = of->changes[i].new;
		if (of->env->enabled[c.service->family])
			nft_elements_each(c.service, of->env, c.numbers, add_key, &c);
	}
	for (unsigned family = 0; family < FAMILY_N; family++)
		for (unsigned set = 0; set < SET_N; set++) {
			if (c.questions[family][set] && !c.err)
				c.err = ask(&c, c.questions[family][set]);
			free(c.questions[family][set]);
		}
	return c.err;
}
