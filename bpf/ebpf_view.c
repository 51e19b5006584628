/*
 * Counters and numbers. The programs count by endpoint, not by frontend: what
 * local clients did is reported for the first frontend of a service, which is
 * its cluster IP if it has one.
 */
#include <errno.h>
#include <string.h>

#include "bpf/ebpf_diff.h"
#include "bpf/ebpf_explain.h"
#include "bpf/ebpf_notes.h"
#include "bpf/ebpf_sink_private.h"
#include "core/cleanup.h"

struct reader {
	struct ebpf_sink *e;
	bool with_endpoints;
	void (*fn)(void *data, const struct sink_count *count);
	void *data;
};

static void report(const struct reader *r, const struct service *s,
		   enum sink_count_kind kind, const struct endpoint *endpoint, uint64_t n)
{
	const struct frontend *f = service_frontends(s);
	struct sink_count count = {
		.frontend = f->addr,
		.port = f->port,
		.kind = (uint8_t)kind,
		.service = s,
		.n = n,
	};

	if (endpoint) {
		count.endpoint = endpoint->addr;
		count.endpoint_port = endpoint->port;
		count.is_endpoint = true;
	}
	r->fn(r->data, &count);
}

static void read_service(const struct reader *r, const struct service *s)
{
	const struct endpoint *endpoints = service_endpoints(s);
	struct ebpf_counts counts;

	if (s->n_frontends == 0 || !ebpf_table_counts(r->e->table, s, &counts))
		return;
	for (uint32_t i = 0; r->with_endpoints && i < s->n_endpoints; i++)
		report(r, s, COUNT_CONNECTIONS, &endpoints[i],
		       ebpf_table_endpoint_count(r->e->table, &counts, i));
	report(r, s, COUNT_CONNECTIONS, NULL, counts.n_connections);
	report(r, s, COUNT_NO_ENDPOINTS, NULL, counts.n_refused);
}

static int ebpf_counts(struct sink *sink, const struct changeset *of, bool with_endpoints,
		       void (*fn)(void *data, const struct sink_count *count), void *data)
{
	const struct reader r = {
		.e = container_of(sink, struct ebpf_sink, sink),
		.with_endpoints = with_endpoints,
		.fn = fn,
		.data = data,
	};

	for (size_t i = 0; i < of->n; i++)
		if (of->changes[i].new)
			read_service(&r, of->changes[i].new);
	return 0;
}

static void ebpf_stats(const struct sink *sink,
		       void (*fn)(void *data, const struct sink_stat *stat), void *data)
{
	const struct ebpf_sink *e = container_of(sink, struct ebpf_sink, sink);
	struct ebpf_table_stats t = ebpf_table_stats(e->table);
	const struct sink_stat stats[] = {
		{.name = "sluice_ebpf_services",
		 .help = "Service ports in the eBPF maps.",
		 .kind = SINK_GAUGE,
		 .value = (double)t.n_services},
		{.name = "sluice_ebpf_frontends",
		 .help = "Frontends in the eBPF maps.",
		 .kind = SINK_GAUGE,
		 .value = (double)t.n_frontends},
		{.name = "sluice_ebpf_endpoints",
		 .help = "Endpoints in the eBPF maps.",
		 .kind = SINK_GAUGE,
		 .value = (double)t.n_endpoints},
		{.name = "sluice_ebpf_attached",
		 .help = "1 while all programs are attached to the cgroup.",
		 .kind = SINK_GAUGE,
		 .value = ebpf_kernel_is_attached(e->kernel)},
		{.name = "sluice_ebpf_map_growths_total",
		 .help = "Times that the eBPF maps were replaced by larger ones.",
		 .kind = SINK_COUNTER,
		 .value = (double)t.n_grown},
		{.name = "sluice_ebpf_corrections_total",
		 .help = "Elements of the eBPF maps that full syncs had to correct.",
		 .kind = SINK_COUNTER,
		 .value = (double)t.n_repaired},
		{.name = "sluice_ebpf_reattached_total",
		 .help = "Programs attached again after another program detached them.",
		 .kind = SINK_COUNTER,
		 .value = (double)e->n_attached_again},
		{.name = "sluice_ebpf_closed_sockets_total",
		 .help = "Sockets closed because their endpoint was removed.",
		 .kind = SINK_COUNTER,
		 .value = (double)e->n_closed},
	};

	for (size_t i = 0; i < N_ELEMENTS(stats); i++)
		fn(data, &stats[i]);
}

static struct sink_diff *ebpf_diff(struct sink *sink, const struct changeset *full)
{
	struct ebpf_sink *e = container_of(sink, struct ebpf_sink, sink);

	return ebpf_diff_new(e->kernel, e->table, full);
}

static bool ebpf_decides(const struct sink *sink, const struct sink_question *q,
			 const char **ret_why)
{
	const struct ebpf_sink *e = container_of(sink, struct ebpf_sink, sink);

	*ret_why = ebpf_why_passed(q, e->is_host_only);
	if (!*ret_why && !ebpf_kernel_is_attached(e->kernel))
		*ret_why = "the programs are not attached";
	return !*ret_why;
}

/* The programs bind network namespaces, not addresses. */
static int ebpf_bound(struct sink *sink, const struct sink_question *q,
		      const struct addr *client, struct endpoint *ret)
{
	(void)sink;
	(void)client;
	(void)ret;
	return q->client == CLIENT_EXTERNAL ? 0 : -ENOTSUP;
}

static void notes(const struct sink *sink, const struct sink_question *q,
		  void (*fn)(void *data, const char *line), void *data)
{
	ebpf_notes(container_of(sink, const struct ebpf_sink, sink), q, fn, data);
}

static void warnings(struct sink *sink, void (*fn)(void *data, const char *text),
		     void *data)
{
	ebpf_notes_others(container_of(sink, struct ebpf_sink, sink), fn, data);
}

const struct sink_view ebpf_view = {
	.counts = ebpf_counts,
	.bound = ebpf_bound,
	.diff = ebpf_diff,
	.warnings = warnings,
	.stats = ebpf_stats,
	.decides = ebpf_decides,
	.notes = notes,
	.keeps_source = true,
};
