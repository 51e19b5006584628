/*
 * Written as text: with a tree of JSON values the answer for many services would
 * delay the loop.
 */
#include "proxy/http/services_page.h"

#include <inttypes.h>

#include "core/cleanup.h"
#include "core/service.h"
#include "core/state.h"
#include "proxy/engine/counts.h"
#include "proxy/http/busy_services.h"

static void add_string(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, "\"%s\":\"", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_add_char(out, '\\');
		if ((unsigned char)*value < ' ')
			buf_printf(out, "\\u%04x", (unsigned)*value);
		else
			buf_add_char(out, *value);
	}
	buf_add_string(out, "\",");
}

static void add_counts(struct buf *out, const struct service *s,
		       const struct counts *counts)
{
	uint64_t n[COUNT_N];

	for (int kind = 0; kind < COUNT_N; kind++)
		n[kind] = counts_total(counts, s, (enum sink_count_kind)kind);
	buf_printf(out,
		   ",\"connections\":%" PRIu64 ",\"rate\":%.1f,\"refused\":%" PRIu64
		   ",\"dropped\":%" PRIu64,
		   n[COUNT_CONNECTIONS], counts_rate(counts, s), n[COUNT_NO_ENDPOINTS],
		   n[COUNT_NO_LOCAL_ENDPOINTS] + n[COUNT_SOURCE_RANGES]);
}

static uint32_t n_endpoints(const struct service *s)
{
	const uint32_t *n = s->n_pool;

	return n[POOL_CLUSTER] > n[POOL_LOCAL] ? n[POOL_CLUSTER] : n[POOL_LOCAL];
}

static void add_service(struct buf *out, const struct service *s,
			const struct counts *counts)
{
	const struct frontend *first = service_frontends(s);
	char place[ADDR_PORT_TEXT_LEN];

	buf_add_char(out, '{');
	add_string(out, "namespace", service_namespace(s));
	add_string(out, "name", service_name(s));
	add_string(out, "portName", service_port_name(s));
	add_string(out, "protocol", proto_name(s->proto));
	add_string(out, "family", family_name((enum family)s->family));
	if (s->n_frontends) {
		add_string(out, "type", frontend_kind_name(first->kind));
		add_string(out, "address", frontend_format_place(first, place));
	}
	buf_printf(out, "\"frontends\":%u,\"endpoints\":%u", s->n_frontends,
		   n_endpoints(s));
	if (counts)
		add_counts(out, s, counts);
	buf_add_char(out, '}');
}

void services_page_write(const struct state *state, const struct counts *counts,
			 struct buf *out)
{
	const struct counts *known = counts && counts_are_known(counts) ? counts : NULL;
	size_t n;
	_cleanup_(freep) const struct service **services =
		busy_services(state, counts, SERVICES_PAGE_MAX, &n);

	buf_printf(out, "{\"countsKnown\":%s,\"services\":[", known ? "true" : "false");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_add_char(out, ',');
		add_service(out, services[i], known);
	}
	buf_printf(out, "],\"omitted\":%zu}\n", state_n_services(state) - n);
}
