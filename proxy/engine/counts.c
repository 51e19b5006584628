/*
 * A sorted array: nothing is allocated for each counter.
 */
#include "proxy/engine/counts.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/sink.h"
#include "proxy/engine/dataplane.h"

/* A count is found by everything but its number, compared as bytes. */
#define KEY_LEN offsetof(struct sink_count, n_connections)

_Static_assert(KEY_LEN == 40, "the key has no padding");

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, KEY_LEN);
}

static void collect(void *data, const struct sink_count *count)
{
	struct counts *c = data;

	c->items = xgrow(c->items, c->n, &c->cap, sizeof(*c->items));
	c->items[c->n++] = *count;
}

/* Elements of several maps, and several sinks, count for one frontend. */
static void add_up(struct counts *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (n && compare(&c->items[n - 1], &c->items[i]) == 0)
			c->items[n - 1].n_connections += c->items[i].n_connections;
		else
			c->items[n++] = c->items[i];
	}
	c->n = n;
}

void counts_read(struct counts *c, const struct dataplane *dp, const struct changeset *of,
		 bool with_endpoints)
{
	*c = (struct counts){0};
	for (size_t i = 0; i < dp->n_sinks; i++) {
		struct sink *sink = dp->sinks[i];
		int err;

		if (!sink->ops->view || !sink->ops->view->counts)
			continue;
		err = sink->ops->view->counts(sink, of, with_endpoints, collect, c);
		if (err) {
			log_warn("%s: cannot read connection counters: %s",
				 sink->ops->name, strerror(-err));
			counts_fini(c);
			return;
		}
		c->is_known = true;
	}
	if (c->n)
		qsort(c->items, c->n, sizeof(*c->items), compare);
	add_up(c);
}

void counts_fini(struct counts *c)
{
	free(c->items);
	*c = (struct counts){0};
}

static uint64_t find(const struct counts *c, const struct sink_count *key)
{
	const struct sink_count *found = NULL;

	if (c->n)
		found = bsearch(key, c->items, c->n, sizeof(*c->items), compare);
	return found ? found->n_connections : 0;
}

uint64_t counts_frontend(const struct counts *c, const struct frontend *f, uint8_t proto)
{
	const struct sink_count key = {
		.frontend = f->addr,
		.port = f->port,
		.proto = proto,
	};

	return find(c, &key);
}

uint64_t counts_endpoint(const struct counts *c, const struct frontend *f, uint8_t proto,
			 const struct addr *addr, uint16_t port)
{
	const struct sink_count key = {
		.frontend = f->addr,
		.endpoint = *addr,
		.port = f->port,
		.endpoint_port = port,
		.proto = proto,
		.is_endpoint = true,
	};

	return find(c, &key);
}
