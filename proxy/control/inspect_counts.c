/*
 * The counters as fields of the rows of `get` and of the answer of `explain`.
 */
#include "core/buf_json.h"
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

void inspect_write_endpoint_count(const struct inspect *in, const struct service *s,
				  const struct plan_endpoint_reason *reason,
				  bool is_brief, struct buf *out)
{
	bool known = are_known(in);

	buf_json_count(out, is_brief ? NULL : "connections", known,
		       known ? counts_endpoint(in->counts, s, &reason->addr, reason->port)
			     : 0);
}

static void write_failures(bool known, const uint64_t n[COUNT_N], struct buf *out)
{
	buf_json_count(out, "refused", known, n[COUNT_NO_ENDPOINTS]);
	buf_json_count(out, "dropped", known,
		       n[COUNT_NO_LOCAL_ENDPOINTS] + n[COUNT_SOURCE_RANGES]);
	buf_json_open(out, "droppedBy", '{');
	buf_json_count(out, "noLocalEndpoints", known, n[COUNT_NO_LOCAL_ENDPOINTS]);
	buf_json_count(out, "sourceRanges", known, n[COUNT_SOURCE_RANGES]);
	buf_add_char(out, '}');
}

void inspect_write_counts(const struct inspect *in, const struct service *s,
			  const struct frontend *f, bool is_brief, struct buf *out)
{
	uint64_t n[COUNT_N] = {0};
	bool known = in && are_known(in);

	if (known)
		counts_frontend(in->counts, s, f, n);
	buf_json_count(out, is_brief ? NULL : "connections", known, n[COUNT_CONNECTIONS]);
	if (known)
		buf_json_tenths(out, is_brief ? NULL : "rate",
				counts_rate(in->counts, s));
	else
		buf_json_word(out, is_brief ? NULL : "rate", "null");
	if (!is_brief)
		write_failures(known, n, out);
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

void inspect_write_flows(const struct census *c, size_t service, bool is_endpoint,
			 uint32_t i, struct buf *out)
{
	struct sink_flows f = {0};
	bool has_bytes = c && census_has_bytes(c);
	bool has_packets = c && census_has_packets(c);

	if (c)
		f = census_of(c, service, is_endpoint, i);
	buf_json_count(out, "current", c, f.n);
	buf_json_count(out, "bytesIn", has_bytes, f.n_bytes[0]);
	buf_json_count(out, "bytesOut", has_bytes, f.n_bytes[1]);
	buf_json_count(out, "packetsIn", has_packets, f.n_packets[0]);
	buf_json_count(out, "packetsOut", has_packets, f.n_packets[1]);
}
