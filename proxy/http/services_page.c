/*
 * Written as text: with a tree of JSON values the answer for many services would
 * delay the loop.
 */
#include "proxy/http/services_page.h"

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/service.h"
#include "core/state.h"
#include "proxy/engine/counts.h"
#include "proxy/http/busy_services.h"

/* Between quotes, with the characters escaped that JSON wants escaped. */
static void add_text(struct buf *out, const char *text)
{
	for (;;) {
		size_t len = 0;

		while ((unsigned char)text[len] >= ' ' && text[len] != '"' &&
		       text[len] != '\\')
			len++;
		buf_add(out, text, len);
		text += len;
		if (!*text)
			return;
		buf_printf(out, "\\u%04x", (unsigned char)*text++);
	}
}

/* key: with the signs before and after it, "{\"name\":\"" */
static void add_string(struct buf *out, const char *key, const char *value)
{
	buf_add_string(out, key);
	add_text(out, value);
	buf_add_char(out, '"');
}

static void add_number(struct buf *out, const char *key, uint64_t n)
{
	char digits[20], *first = digits + sizeof(digits);

	do
		*--first = (char)('0' + n % 10);
	while (n /= 10);
	buf_add_string(out, key);
	buf_add(out, first, (size_t)(digits + sizeof(digits) - first));
}

static void add_counts(struct buf *out, const struct service *s,
		       const struct counts *counts)
{
	uint64_t tenths = (uint64_t)(counts_rate(counts, s) * 10 + 0.5);

	add_number(out, ",\"connections\":", counts_total(counts, s, COUNT_CONNECTIONS));
	add_number(out, ",\"rate\":", tenths / 10);
	add_number(out, ".", tenths % 10);
	add_number(out, ",\"refused\":", counts_total(counts, s, COUNT_NO_ENDPOINTS));
	add_number(out, ",\"dropped\":",
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

	add_string(out, "{\"namespace\":\"", service_namespace(s));
	add_string(out, ",\"name\":\"", service_name(s));
	add_string(out, ",\"portName\":\"", service_port_name(s));
	add_string(out, ",\"protocol\":\"", proto_name(s->proto));
	add_string(out, ",\"family\":\"", family_name((enum family)s->family));
	if (s->n_frontends) {
		add_string(out, ",\"type\":\"", frontend_kind_name(first->kind));
		add_string(out, ",\"address\":\"", frontend_format_place(first, place));
	}
	add_number(out, ",\"frontends\":", s->n_frontends);
	add_number(out, ",\"endpoints\":", n_endpoints(s));
	if (counts)
		add_counts(out, s, counts);
	buf_add_char(out, '}');
}

/* In no order: pages sort by what their reader wants. */
static const struct service **pick(const struct state *state, const struct counts *counts,
				   size_t *ret_n)
{
	const struct service **services, *s;
	size_t n = 0;

	if (state_n_services(state) > SERVICES_PAGE_MAX)
		return busy_services(state, counts, SERVICES_PAGE_MAX, ret_n);
	services = xcalloc(state_n_services(state) + 1, sizeof(*services));
	for (size_t i = 0; (s = state_next(state, &i));)
		services[n++] = s;
	*ret_n = n;
	return services;
}

void services_page_write(const struct state *state, const struct counts *counts,
			 struct buf *out)
{
	const struct counts *known = counts && counts_are_known(counts) ? counts : NULL;
	size_t n;
	_cleanup_(freep) const struct service **services = pick(state, counts, &n);

	buf_printf(out, "{\"countsKnown\":%s,\"services\":[", known ? "true" : "false");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_add_char(out, ',');
		add_service(out, services[i], known);
	}
	buf_printf(out, "],\"omitted\":%zu}\n", state_n_services(state) - n);
}
