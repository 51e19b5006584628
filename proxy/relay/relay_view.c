/*
 * Counters, numbers for /metrics, and the comparison. Endpoints and refused connections
 * count for all frontends of a service together: they are reported for the first.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/mem.h"
#include "proxy/relay/relay_search.h"
#include "proxy/relay/relay_sink_private.h"

#define SERVICES_A_STEP 500

struct reader {
	const struct relay_sink *r;
	bool with_endpoints;
	void (*fn)(void *data, const struct sink_count *count);
	void *data;
};

static void count_endpoints(const struct reader *reader, const struct relay_service *s,
			    struct sink_count count)
{
	count.is_endpoint = true;
	for (uint32_t i = 0; i < s->service->n_endpoints; i++) {
		count.endpoint = s->endpoints[i]->addr;
		count.endpoint_port = s->endpoints[i]->port;
		count.n = relay_counted(&s->endpoints[i]->n_connections);
		reader->fn(reader->data, &count);
	}
}

/* Clients that got no endpoint. Others meet a closed port, which the kernel does not count. */
static void count_refused(const struct reader *reader, const struct relay_service *s,
			  struct sink_count count)
{
	count.kind = COUNT_NO_ENDPOINTS;
	count.n = relay_counted(&s->account->counters[RELAY_FAILED]);
	reader->fn(reader->data, &count);
}

static void count_frontend(const struct reader *reader, const struct relay_service *of,
			   const struct frontend *f, struct sink_count count)
{
	const struct relay_sink *r = reader->r;
	const struct service *s = of->service;
	size_t n;
	const struct addr *addresses = relay_sink_addresses(r, s, f, &n);

	for (size_t i = 0; i < n; i++) {
		const struct relay_listener_key key =
			relay_listener_key_of(s, f, &addresses[i]);
		const struct relay_listener *l = hash_find(&r->listeners, &key);

		if (!l)
			continue;
		count.endpoint = addresses[i]; /* each listener has its own */
		count.n = relay_listener_n_connections(l);
		reader->fn(reader->data, &count);
	}
}

static void count_local(const struct reader *reader, const struct relay_entry *e,
			const struct service *wanted)
{
	const struct service *s = e->current->service;
	const struct relay_listener_key key = {
		.addr = reader->r->params.local[s->family],
		.port = e->local_port,
		.proto = s->proto,
	};
	const struct relay_listener *l = hash_find(&reader->r->listeners, &key);
	struct sink_count count = {.frontend = key.addr,
				   .port = key.port,
				   .service = wanted};

	count.n = l ? relay_listener_n_connections(l) : 0;
	reader->fn(reader->data, &count);
}

static void count_service(const struct reader *reader, const struct relay_entry *e,
			  const struct service *wanted)
{
	const struct service *s = e->current->service;

	for (uint32_t i = 0; i < s->n_frontends; i++) {
		const struct frontend *f = &service_frontends(s)[i];
		const struct sink_count count = {
			.frontend = f->addr,
			.port = f->port,
			.service = wanted,
		};

		if (i == 0 && reader->with_endpoints)
			count_endpoints(reader, e->current, count);
		if (i == 0)
			count_refused(reader, e->current, count);
		count_frontend(reader, e->current, f, count);
	}
	if (e->local_port)
		count_local(reader, e, wanted);
}

static int relay_counts(struct sink *sink, const struct changeset *of,
			bool with_endpoints,
			void (*fn)(void *data, const struct sink_count *count),
			void *data)
{
	const struct reader reader = {
		.r = container_of(sink, struct relay_sink, sink),
		.with_endpoints = with_endpoints,
		.fn = fn,
		.data = data,
	};

	for (size_t i = 0; i < of->n; i++) {
		const struct relay_entry *e =
			of->changes[i].new ? relay_sink_find(reader.r, of->changes[i].new)
					   : NULL;

		if (e)
			count_service(&reader, e, of->changes[i].new);
	}
	return 0;
}

static int relay_bound(struct sink *sink, const struct sink_question *q,
		       const struct addr *client, struct endpoint *ret)
{
	const struct relay_sink *r = container_of(sink, const struct relay_sink, sink);
	const struct relay_entry *e = relay_sink_find(r, q->service);
	const struct decision *d = &q->frontend->from[q->client];
	uint32_t i = e && d->action == ACTION_BALANCE
			     ? relay_search_bound(&r->shared, e->current, client, d->pool)
			     : UINT32_MAX;

	if (i == UINT32_MAX)
		return 0;
	*ret = service_endpoints(e->current->service)[i];
	return 1;
}

static double total(const struct relay_sink *r, enum relay_counter counter)
{
	uint64_t n = 0;

	for (unsigned i = 0; r->shared.workers && i < r->shared.n_workers; i++)
		n += relay_counted(&r->shared.workers[i]->counters[counter]);
	return (double)n;
}

static void relay_stats(const struct sink *sink,
			void (*fn)(void *data, const struct sink_stat *stat), void *data)
{
	const struct relay_sink *r = container_of(sink, const struct relay_sink, sink);
	const struct sink_stat stats[] = {
		{.name = "sluice_userspace_listeners",
		 .help = "Frontends that userspace mode listens at.",
		 .kind = SINK_GAUGE,
		 .value = (double)r->listeners.n},
		{.name = "sluice_userspace_connections",
		 .help = "Connections of clients that are open in userspace mode.",
		 .kind = SINK_GAUGE,
		 .value = __atomic_load_n(&r->limit.n_conns, __ATOMIC_RELAXED)},
		{.name = "sluice_userspace_max_connections",
		 .help = "Connections that the limit of open files allows.",
		 .kind = SINK_GAUGE,
		 .value = relay_limit_max_conns(&r->limit)},
		{.name = "sluice_userspace_connections_total",
		 .help = "Connections that userspace mode accepted from clients.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_CONNECTIONS)},
		{.name = "sluice_userspace_failed_connections_total",
		 .help = "Connections of clients for which no endpoint accepted.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_FAILED)},
		{.name = "sluice_userspace_failed_attempts_total",
		 .help = "Endpoints that failed before the first byte, or with an ICMP "
			 "error.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_RETRIES)},
		{.name = "sluice_userspace_client_bytes_total",
		 .help = "Bytes from clients, of connections and flows that ended.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_UP)},
		{.name = "sluice_userspace_endpoint_bytes_total",
		 .help = "Bytes from endpoints, of connections and flows that ended.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_DOWN)},
		{.name = "sluice_userspace_flows",
		 .help = "UDP flows of userspace mode.",
		 .kind = SINK_GAUGE,
		 .value = __atomic_load_n(&r->limit.n_flows, __ATOMIC_RELAXED)},
		{.name = "sluice_userspace_max_flows",
		 .help = "UDP flows that the limits of open files and ports allow.",
		 .kind = SINK_GAUGE,
		 .value = relay_limit_max_flows(&r->limit)},
		{.name = "sluice_userspace_flows_total",
		 .help = "UDP flows that started.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_FLOWS)},
		{.name = "sluice_userspace_evicted_flows_total",
		 .help = "UDP flows that ended to make room for others.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_EVICTED)},
		{.name = "sluice_userspace_client_datagrams_total",
		 .help = "Datagrams from clients, of UDP flows that ended.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_DATAGRAMS_UP)},
		{.name = "sluice_userspace_endpoint_datagrams_total",
		 .help = "Datagrams from endpoints, of UDP flows that ended.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_DATAGRAMS_DOWN)},
		{.name = "sluice_userspace_dropped_datagrams_total",
		 .help = "Datagrams without an endpoint, or that could not be sent.",
		 .kind = SINK_COUNTER,
		 .value = total(r, RELAY_DROPPED)},
		{.name = "sluice_userspace_affinity_clients",
		 .help = "Bindings of clients to endpoints.",
		 .kind = SINK_GAUGE,
		 .value = (double)relay_affinity_n(r->shared.affinity)},
		{.name = "sluice_userspace_routes",
		 .help = "Local routes of userspace mode.",
		 .kind = SINK_GAUGE,
		 .value = (double)relay_routes_n(r->routes)},
	};

	for (size_t i = 0; i < sizeof(stats) / sizeof(stats[0]); i++)
		fn(data, &stats[i]);
}

/* ---- comparison ---- */

struct relay_diff {
	struct sink_diff diff;
	struct relay_sink *r;
	const struct changeset *full;
	size_t at, n_lines;
	struct buf lines;
	bool has_routes;
};

static void add_route(void *data, char sign, const struct cidr *net)
{
	struct relay_diff *d = data;
	char text[CIDR_TEXT_LEN];

	buf_printf(&d->lines, "%c userspace local route %s\n", sign,
		   cidr_format(net, text));
	d->n_lines++;
}

static void compare_frontend(struct relay_diff *d, const struct service *s,
			     const struct frontend *f)
{
	size_t n;
	const struct addr *addresses = relay_sink_addresses(d->r, s, f, &n);

	for (size_t i = 0; i < n; i++) {
		const struct relay_listener_key key =
			relay_listener_key_of(s, f, &addresses[i]);
		char text[ADDR_PORT_TEXT_LEN];

		if (hash_find(&d->r->listeners, &key))
			continue;
		buf_printf(&d->lines, "- userspace listener %s %s\n",
			   proto_name(s->proto),
			   addr_port_format(&addresses[i], f->port, text));
		d->n_lines++;
	}
}

static void compare_service(struct relay_diff *d, const struct service *s)
{
	const struct frontend *f = service_frontends(s);

	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (s->proto != IPPROTO_SCTP && relay_sink_serves(d->r, &f[i]) &&
		    relay_listener_is_needed(s, &f[i]))
			compare_frontend(d, s, &f[i]);
}

static int diff_step(struct sink_diff *diff)
{
	struct relay_diff *d = container_of(diff, struct relay_diff, diff);
	size_t end = d->at + SERVICES_A_STEP;

	if (!d->has_routes && d->r->can_route) {
		int err = relay_routes_compare(d->r->routes, add_route, d);

		d->has_routes = true;
		return err ? err : 1;
	}
	for (; d->at < d->full->n && d->at < end; d->at++)
		compare_service(d, d->full->changes[d->at].new);
	return d->at < d->full->n;
}

static const char *diff_lines(const struct sink_diff *diff, size_t *ret_n)
{
	const struct relay_diff *d = container_of(diff, const struct relay_diff, diff);

	*ret_n = d->n_lines;
	return buf_string(&d->lines);
}

static void diff_free(struct sink_diff *diff)
{
	struct relay_diff *d = container_of(diff, struct relay_diff, diff);

	buf_fini(&d->lines);
	free(d);
}

static const struct sink_diff_ops diff_ops = {
	.step = diff_step,
	.lines = diff_lines,
	.free = diff_free,
};

static struct sink_diff *relay_diff(struct sink *sink, const struct changeset *full)
{
	struct relay_diff *d = xcalloc(1, sizeof(*d));

	d->diff.ops = &diff_ops;
	d->r = container_of(sink, struct relay_sink, sink);
	d->full = full;
	return &d->diff;
}

const struct sink_view relay_view = {
	.counts = relay_counts,
	.census = relay_census_new,
	.bound = relay_bound,
	.diff = relay_diff,
	.stats = relay_stats,
	.place = relay_sink_place,
};
