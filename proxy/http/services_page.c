/*
 * Written as text, some rows at a time: the answer for many services would delay the
 * loop.  References to the services are held until their rows are written.
 */
#include "proxy/http/services_page.h"

#include <stdlib.h>

#include "core/buf_json.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/service.h"
#include "core/state.h"
#include "proxy/engine/counts.h"
#include "proxy/http/busy_services.h"
#include "proxy/http/http_server.h"

#define PIECE_LEN 32768 /* at least, of all but the last one */

struct services_page {
	struct http_stream stream;
	const struct counts *counts; /* NULL: not known */
	struct service **services;   /* references, from next on */
	size_t n, next, n_omitted;
};

static void add_counts(struct buf *out, const struct service *s,
		       const struct counts *counts)
{
	buf_json_number(out, "connections", counts_total(counts, s, COUNT_CONNECTIONS));
	buf_json_tenths(out, "rate", counts_rate(counts, s));
	buf_json_number(out, "refused", counts_total(counts, s, COUNT_NO_ENDPOINTS));
	buf_json_number(out, "dropped",
			counts_total(counts, s, COUNT_NO_LOCAL_ENDPOINTS) +
				counts_total(counts, s, COUNT_SOURCE_RANGES));
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

	buf_json_open(out, NULL, '{');
	buf_json_string(out, "namespace", service_namespace(s));
	buf_json_string(out, "name", service_name(s));
	buf_json_string(out, "portName", service_port_name(s));
	buf_json_string(out, "protocol", proto_name(s->proto));
	buf_json_string(out, "family", family_name((enum family)s->family));
	if (s->n_frontends) {
		buf_json_string(out, "type", frontend_kind_name(first->kind));
		buf_json_string(out, "address", frontend_format_place(first, place));
	}
	buf_json_number(out, "frontends", s->n_frontends);
	buf_json_number(out, "endpoints", n_endpoints(s));
	if (counts)
		add_counts(out, s, counts);
	buf_add_char(out, '}');
}

static bool write_piece(struct http_stream *stream, struct buf *out)
{
	struct services_page *p = container_of(stream, struct services_page, stream);

	if (p->next == 0)
		buf_printf(out, "{\"countsKnown\":%s,\"services\":[",
			   p->counts ? "true" : "false");
	else if (p->next < p->n)
		buf_add_char(out, ',');
	while (p->next < p->n && out->len < PIECE_LEN) {
		add_service(out, p->services[p->next], p->counts);
		service_unref(p->services[p->next++]);
	}
	if (p->next < p->n)
		return true;
	buf_printf(out, "],\"omitted\":%zu}\n", p->n_omitted);
	return false;
}

static void free_page(struct http_stream *stream)
{
	struct services_page *p = container_of(stream, struct services_page, stream);

	while (p->next < p->n)
		service_unref(p->services[p->next++]);
	free(p->services);
	free(p);
}

struct http_stream *services_page_new(const struct state *state,
				      const struct counts *counts)
{
	static const struct http_stream_ops ops = {
		.write = write_piece,
		.free = free_page,
	};
	struct services_page *p = xcalloc(1, sizeof(*p));
	_cleanup_(freep) const struct service **busy =
		busy_services(state, counts, SERVICES_PAGE_MAX, &p->n);

	p->stream.ops = &ops;
	p->counts = counts && counts_are_known(counts) ? counts : NULL;
	p->n_omitted = state_n_services(state) - p->n;
	p->services = xcalloc(p->n + 1, sizeof(struct service *));
	for (size_t i = 0; i < p->n; i++)
		p->services[i] = service_ref(busy[i]);
	return &p->stream;
}
