#include "proxy/engine/census.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/sink.h"
#include "proxy/engine/dataplane.h"

struct census {
	struct {
		const char *name;
		struct sink_census *census;
		bool is_complete;
	} parts[DATAPLANE_MAX_SINKS];
	size_t n;
	const char *failed; /* the name of the part */
};

struct census *census_new(const struct dataplane *dp, const struct changeset *of)
{
	struct census *c = xcalloc(1, sizeof(*c));

	for (size_t i = 0; i < dp->n_sinks; i++) {
		struct sink *sink = dp->sinks[i];

		if (!sink->ops->view || !sink->ops->view->census)
			continue;
		c->parts[c->n].name = sink->ops->name;
		c->parts[c->n++].census = sink->ops->view->census(sink, of);
	}
	if (c->n)
		return c;
	free(c);
	return NULL;
}

void census_free(struct census *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		sink_census_free(c->parts[i].census);
	free(c);
}

int census_step(struct census *c)
{
	int more = 0;

	for (size_t i = 0; i < c->n; i++) {
		int err = c->parts[i].is_complete ? 0
						  : sink_census_step(c->parts[i].census);

		if (err < 0) {
			c->failed = c->parts[i].name;
			return err;
		}
		c->parts[i].is_complete = err == 0;
		more |= err;
	}
	return more;
}

void census_log_failure(const struct census *c, int err)
{
	log_warn("%s: cannot count current connections: %s", c->failed, strerror(-err));
}

bool census_has_bytes(const struct census *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!c->parts[i].census->ops->has_bytes(c->parts[i].census))
			return false;
	return true;
}

bool census_has_packets(const struct census *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->parts[i].census->ops->lacks_packets)
			return false;
	return census_has_bytes(c);
}

struct sink_flows census_of(const struct census *c, size_t service, bool is_endpoint,
			    uint32_t i)
{
	struct sink_flows sum = {0};

	for (size_t p = 0; p < c->n; p++) {
		const struct sink_census *part = c->parts[p].census;

		sink_flows_add(&sum, part->ops->of(part, service, is_endpoint, i));
	}
	return sum;
}
