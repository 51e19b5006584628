#include "tests/unit/counting_sink.h"

#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/mem.h"

static void report(const struct counting_sink *c, size_t i, const struct service *s,
		   bool with_endpoints,
		   void (*fn)(void *data, const struct sink_count *count), void *data)
{
	const struct frontend *f = &service_frontends(s)[c->counters[i].frontend];
	const struct endpoint *endpoints = service_endpoints(s);
	int endpoint = c->counters[i].endpoint;
	struct sink_count count = {
		.frontend = f->addr,
		.port = f->port,
		.kind = (uint8_t)c->counters[i].kind,
		.counter = c->counters[i].counter,
		.is_endpoint = endpoint >= 0,
		.epoch = c->epoch,
		.service = s,
		.n = c->counters[i].n,
	};

	if (count.is_endpoint &&
	    (!with_endpoints || (uint32_t)endpoint >= s->n_endpoints))
		return;
	if (count.is_endpoint) {
		count.endpoint = endpoints[endpoint].addr;
		count.endpoint_port = endpoints[endpoint].port;
	}
	fn(data, &count);
}

static int read_counts(struct sink *sink, const struct changeset *of, bool with_endpoints,
		       void (*fn)(void *data, const struct sink_count *count), void *data)
{
	struct counting_sink *c = container_of(sink, struct counting_sink, sink);

	c->n_endpoints_read += with_endpoints ? (unsigned)of->n : 0;
	for (size_t i = 0; i < of->n; i++)
		for (size_t j = 0; j < c->n; j++)
			if (!strcmp(c->counters[j].service,
				    service_name(of->changes[i].new)))
				report(c, j, of->changes[i].new, with_endpoints, fn,
				       data);
	return c->err;
}

struct counting_census {
	struct sink_census census;
	const struct counting_sink *sink;
	size_t busy; /* the index of the service */
	struct sink_flows none, flows;
};

static int census_step(struct sink_census *census)
{
	return container_of(census, struct counting_census, census)->sink->census_step;
}

static bool census_has_bytes(const struct sink_census *census)
{
	return container_of(census, struct counting_census, census)->sink->has_bytes;
}

static const struct sink_flows *census_of(const struct sink_census *census,
					  size_t service, bool is_endpoint, uint32_t i)
{
	const struct counting_census *c =
		container_of(census, const struct counting_census, census);

	return service == c->busy && !is_endpoint && i == 0 ? &c->flows : &c->none;
}

static void census_free(struct sink_census *census)
{
	free(container_of(census, struct counting_census, census));
}

static struct sink_census *census_new(struct sink *sink, const struct changeset *of)
{
	static const struct sink_census_ops ops = {
		.step = census_step,
		.has_bytes = census_has_bytes,
		.of = census_of,
		.free = census_free,
	};
	struct counting_sink *counting = container_of(sink, struct counting_sink, sink);
	struct counting_census *c = xcalloc(1, sizeof(*c));

	counting->n_censuses++;
	c->census.ops = &ops;
	c->sink = counting;
	c->flows.n = counting->n_current;
	for (size_t i = 0; counting->has_bytes && i < 2; i++) {
		c->flows.n_packets[i] = counting->n_current * (i + 1);
		c->flows.n_bytes[i] = c->flows.n_packets[i] * 1000;
	}
	while (c->busy < of->n &&
	       (!counting->busy ||
		strcmp(service_name(of->changes[c->busy].new), counting->busy) != 0))
		c->busy++;
	return &c->census;
}

static int apply(struct sink *sink, const struct changeset *cs)
{
	(void)sink;
	(void)cs;
	return 0;
}

static void keep(struct sink *sink)
{
	(void)sink; /* the test has it */
}

void counting_sink_init(struct counting_sink *c)
{
	static const struct sink_view view = {
		.counts = read_counts,
		.census = census_new,
	};
	static const struct sink_ops ops = {
		.name = "counting",
		.apply = apply,
		.close = keep,
		.view = &view,
	};

	*c = (struct counting_sink){.sink.ops = &ops};
}

static void set(struct counting_sink *c, const char *service, int endpoint,
		enum sink_count_kind kind, uint8_t counter, uint64_t n)
{
	size_t i = 0;

	while (i < c->n &&
	       (strcmp(c->counters[i].service, service) != 0 ||
		c->counters[i].endpoint != endpoint || c->counters[i].kind != kind ||
		c->counters[i].counter != counter))
		i++;
	assert_true(i < N_ELEMENTS(c->counters));
	if (i == c->n)
		c->n++;
	c->counters[i].service = service;
	c->counters[i].endpoint = endpoint;
	c->counters[i].kind = kind;
	c->counters[i].counter = counter;
	c->counters[i].n = n;
}

void counting_sink_set(struct counting_sink *c, const char *service,
		       enum sink_count_kind kind, uint64_t n)
{
	set(c, service, -1, kind, 0, n);
}

void counting_sink_set_other(struct counting_sink *c, const char *service, uint64_t n)
{
	set(c, service, -1, COUNT_CONNECTIONS, 1, n);
}

void counting_sink_set_endpoint(struct counting_sink *c, const char *service,
				int endpoint, uint64_t n)
{
	set(c, service, endpoint, COUNT_CONNECTIONS, 0, n);
}

void counting_sink_clear(struct counting_sink *c)
{
	c->n = 0;
}
