/*
 * The counters as fields of the rows of `get` and of the answer of `explain`.
 */
#include <math.h>

#include "core/changeset.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/control/inspect_parts.h"
#include "proxy/engine/census.h"
#include "proxy/engine/counts.h"
#include "proxy/host/node_info.h"

static bool are_known(const struct inspect *in)
{
	return in->counts && counts_are_known(in->counts);
}

static json_t *count_json(const struct inspect *in, uint64_t n)
{
	return are_known(in) ? json_integer((json_int_t)n) : json_null();
}

json_t *inspect_endpoint_connections(const struct inspect *in, const struct service *s,
				     const struct addr *addr, uint16_t port)
{
	return count_json(in,
			  are_known(in) ? counts_endpoint(in->counts, s, addr, port) : 0);
}

static json_t *rate_json(const struct inspect *in, const struct service *s)
{
	return are_known(in) ? json_real(round(counts_rate(in->counts, s) * 10) / 10)
			     : json_null();
}

json_t *inspect_counts(const struct inspect *in, const struct service *s,
		       const struct frontend *f)
{
	uint64_t n[COUNT_N] = {0};

	if (!f)
		return json_pack("{s:n}", "connections");
	for (int kind = 0; kind < COUNT_N && are_known(in); kind++)
		n[kind] = counts_frontend(in->counts, s, f, (enum sink_count_kind)kind);
	return json_pack("{s:o, s:o, s:o, s:{s:o, s:o}, s:o}", "connections",
			 count_json(in, n[COUNT_CONNECTIONS]), "refused",
			 count_json(in, n[COUNT_NO_ENDPOINTS]), "dropped",
			 count_json(in,
				    n[COUNT_NO_LOCAL_ENDPOINTS] + n[COUNT_SOURCE_RANGES]),
			 "droppedBy", "noLocalEndpoints",
			 count_json(in, n[COUNT_NO_LOCAL_ENDPOINTS]), "sourceRanges",
			 count_json(in, n[COUNT_SOURCE_RANGES]), "rate",
			 rate_json(in, s));
}

bool inspect_counts_read(const struct inspect *in, const struct service *const *services,
			 size_t n, bool with_endpoints)
{
	_cleanup_(freep) struct change *changes = xcalloc(n + 1, sizeof(*changes));
	const struct changeset of = {
		.env = &in->node_info->env,
		.changes = changes,
		.n = n,
	};

	for (size_t i = 0; i < n; i++)
		changes[i].new = services[i];
	return in->counts && counts_read(in->counts, &of, with_endpoints);
}

static json_t *known(bool is_known, uint64_t n)
{
	return is_known ? json_integer((json_int_t)n) : json_null();
}

json_t *inspect_flows(const struct census *c, size_t service, bool is_endpoint,
		      uint32_t i)
{
	struct sink_flows f = {0};
	bool has_bytes = c && census_has_bytes(c);

	if (c)
		f = census_of(c, service, is_endpoint, i);
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "current", known(c, f.n), "bytesIn",
			 known(has_bytes, f.n_bytes[0]), "bytesOut",
			 known(has_bytes, f.n_bytes[1]), "packetsIn",
			 known(has_bytes, f.n_packets[0]), "packetsOut",
			 known(has_bytes, f.n_packets[1]));
}
