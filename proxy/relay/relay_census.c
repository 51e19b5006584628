/*
 * The open connections and flows: counters of the workers, so a census is complete when
 * it starts.  Frontends share those of their service, which are reported for the first
 * one.
 */
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/relay/relay_sink_private.h"

struct relay_census {
	struct sink_census census;
	size_t *first;		  /* of each service: the slot of its first frontend */
	uint32_t *n_frontends;	  /* of each service */
	struct sink_flows *slots; /* of a service: frontends, then endpoints */
};

static struct sink_flows flows_of(const struct relay_load *load)
{
	return (struct sink_flows){
		.n = relay_counted(&load->n),
		.n_bytes = {relay_counted(&load->n_bytes[RELAY_IN]),
			    relay_counted(&load->n_bytes[RELAY_OUT])},
	};
}

/* The endpoints of both are in the same order; the service may be of another version. */
static void count_endpoints(const struct relay_service *of, const struct service *s,
			    struct sink_flows *slots)
{
	const struct endpoint *own = service_endpoints(of->service);
	const struct endpoint *wanted = service_endpoints(s);
	uint32_t at = 0;

	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		while (at < of->service->n_endpoints &&
		       service_compare_endpoint(&own[at], &wanted[i]) < 0)
			at++;
		if (at < of->service->n_endpoints &&
		    service_compare_endpoint(&own[at], &wanted[i]) == 0)
			slots[i] = flows_of(&of->endpoints[at]->load);
	}
}

static void count_service(const struct relay_service *of, const struct service *s,
			  struct sink_flows *slots)
{
	if (!s->n_frontends)
		return;
	slots[0] = flows_of(&of->account->load);
	count_endpoints(of, s, slots + s->n_frontends);
}

static int census_step(struct sink_census *census)
{
	return 0;
}

static bool census_has_bytes(const struct sink_census *census)
{
	return true;
}

static const struct sink_flows *census_of(const struct sink_census *census,
					  size_t service, bool is_endpoint, uint32_t i)
{
	const struct relay_census *c =
		container_of(census, const struct relay_census, census);

	return &c->slots[c->first[service] + i +
			 (is_endpoint ? c->n_frontends[service] : 0)];
}

static void census_free(struct sink_census *census)
{
	struct relay_census *c = container_of(census, struct relay_census, census);

	free(c->first);
	free(c->n_frontends);
	free(c->slots);
	free(c);
}

struct sink_census *relay_census_new(struct sink *sink, const struct changeset *of)
{
	static const struct sink_census_ops ops = {
		.step = census_step,
		.has_bytes = census_has_bytes,
		.lacks_packets = true, /* TCP is a stream of bytes here */
		.of = census_of,
		.free = census_free,
	};
	const struct relay_sink *r = container_of(sink, struct relay_sink, sink);
	struct relay_census *c = xcalloc(1, sizeof(*c));
	size_t n_slots = 0;

	c->census.ops = &ops;
	c->first = xcalloc(of->n + 1, sizeof(*c->first));
	c->n_frontends = xcalloc(of->n + 1, sizeof(*c->n_frontends));
	for (size_t i = 0; i < of->n; i++) {
		const struct service *s = of->changes[i].new;

		c->first[i] = n_slots;
		c->n_frontends[i] = s->n_frontends;
		n_slots += s->n_frontends + s->n_endpoints;
	}
	c->slots = xcalloc(n_slots + 1, sizeof(*c->slots));
	for (size_t i = 0; i < of->n; i++) {
		const struct relay_entry *e = relay_sink_find(r, of->changes[i].new);

		if (e)
			count_service(e->current, of->changes[i].new,
				      c->slots + c->first[i]);
	}
	return &c->census;
}
