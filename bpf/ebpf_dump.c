#include "bpf/ebpf_dump.h"

#include "bpf/ebpf_entry.h"

static const char *action_name_of(uint64_t row)
{
	static const char *const names[] = {
		[EBPF_PASS] = "pass",
		[EBPF_CLUSTER] = "cluster",
		[EBPF_LOCAL] = "local",
		[EBPF_REFUSE] = "refuse",
	};

	return names[row & 3];
}

/* Its parts were checked when it was read: none needs an escape. */
static void add_name(const struct service *s, struct buf *out)
{
	const char *port_name = service_port_name(s);

	buf_printf(out, "\"service\":\"%s/%s%s%s\"", service_namespace(s),
		   service_name(s), *port_name ? ":" : "", port_name);
}

/* The programs refuse TCP only. */
static const char *shown(const struct service *s, uint64_t row)
{
	return (row & 3) == EBPF_REFUSE && s->proto != IPPROTO_TCP
		       ? action_name_of(EBPF_PASS)
		       : action_name_of(row);
}

static void add_frontend(const struct service *s, const struct frontend *f,
			 const struct environment *env, struct buf *out)
{
	uint64_t row = ebpf_rows_of(s, env) >> (ebpf_row_of(s, f) * 8);
	char text[ADDR_TEXT_LEN];

	buf_printf(out, "{\"address\":\"%s\",\"port\":%u,\"protocol\":\"%s\",",
		   frontend_is_everywhere(f) ? "*" : addr_format(&f->addr, text), f->port,
		   proto_name(s->proto));
	add_name(s, out);
	buf_printf(out, ",\"node\":\"%s\",\"pod\":\"%s\"}", shown(s, row & 0xf),
		   shown(s, row >> 4 & 0xf));
}

static void add_pool(const struct service *s, enum ebpf_pool pool, struct buf *out)
{
	const struct endpoint *endpoints = service_endpoints(s);
	char text[ADDR_PORT_TEXT_LEN];
	const char *separator = "";

	buf_add_char(out, '[');
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		if (!(endpoints[i].flags & 1u << pool))
			continue;
		buf_printf(out, "%s\"%s\"", separator,
			   addr_port_format(&endpoints[i].addr, endpoints[i].port, text));
		separator = ",";
	}
	buf_add_char(out, ']');
}

static void add_service(const struct service *s, struct buf *out)
{
	buf_add_char(out, '{');
	add_name(s, out);
	buf_printf(out,
		   ",\"protocol\":\"%s\",\"family\":\"%s\",\"affinitySeconds\":%u,"
		   "\"cluster\":",
		   proto_name(s->proto), family_name(s->family), s->affinity_sec);
	add_pool(s, EBPF_POOL_CLUSTER, out);
	buf_add_string(out, ",\"local\":");
	add_pool(s, EBPF_POOL_LOCAL, out);
	buf_add_char(out, '}');
}

void ebpf_dump(const struct changeset *full, struct buf *out)
{
	const char *separator = "";

	buf_add_string(out, "{\"frontends\":[");
	for (size_t i = 0; i < full->n; i++) {
		const struct service *s = full->changes[i].new;

		for (uint32_t k = 0; ebpf_is_served(s) && k < s->n_frontends; k++) {
			buf_add_string(out, separator);
			add_frontend(s, &service_frontends(s)[k], full->env, out);
			separator = ",";
		}
	}
	buf_add_string(out, "],\"services\":[");
	separator = "";
	for (size_t i = 0; i < full->n; i++) {
		if (!ebpf_is_served(full->changes[i].new))
			continue;
		buf_add_string(out, separator);
		add_service(full->changes[i].new, out);
		separator = ",";
	}
	buf_add_string(out, "]}");
}
