#include "bpf/ebpf_notes.h"

#include <stdlib.h>

#include "bpf/ebpf_entry.h"
#include "bpf/ebpf_sink_private.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

struct notes {
	const struct ebpf_sink *e;
	const struct sink_question *q;
	void (*fn)(void *data, const char *line);
	void *data;
};

static void add(const struct notes *n, char *line)
{
	n->fn(n->data, line);
	free(line);
}

static void add_excluded(void *data, const char *what)
{
	add(data, xasprintf("nftables decides for sockets of %s", what));
}

/* As ebpf_find_frontend() of the programs looks for it. */
static bool is_frontend(const struct notes *n, const struct endpoint *endpoint)
{
	const struct ebpf_kernel *k = n->e->kernel;
	struct frontend f = {.addr = endpoint->addr, .port = endpoint->port};
	struct ebpf_frontend_key key = ebpf_key_of(n->q->service, &f),
				 node = ebpf_key_of_node(&f.addr);

	if (ebpf_kernel_has_frontend(k, &key))
		return true;
	f.addr = addr_unspecified(addr_family(&f.addr));
	f.kind = FRONTEND_NODE_PORT;
	key = ebpf_key_of(n->q->service, &f);
	return ebpf_kernel_has_frontend(k, &node) && ebpf_kernel_has_frontend(k, &key);
}

static void add_endpoint(const struct notes *n, const struct endpoint *endpoint)
{
	const struct service *other =
		n->q->service->proto == IPPROTO_UDP
			? ebpf_table_find_other(n->e->table, n->q->service, endpoint)
			: NULL;
	char text[ADDR_PORT_TEXT_LEN];

	(void)addr_port_format(&endpoint->addr, endpoint->port, text);
	if (is_frontend(n, endpoint))
		add(n, xasprintf("nftables decides when endpoint %s is chosen: it is the "
				 "address "
				 "of a Service, too",
				 text));
	if (other)
		add(n,
		    xasprintf(
			    "endpoint %s is one of %s/%s, too: nftables decides for the "
			    "second of both that a UDP socket without connect() uses",
			    text, service_namespace(other), service_name(other)));
}

static void add_endpoints(const struct notes *n)
{
	const struct decision *d = &n->q->frontend->from[n->q->client];
	const struct endpoint *endpoints = service_endpoints(n->q->service);

	if (d->action != ACTION_BALANCE)
		return;
	for (uint32_t i = 0; i < n->q->service->n_endpoints; i++)
		if (endpoints[i].flags & 1u << d->pool)
			add_endpoint(n, &endpoints[i]);
}

static char *format_other(const struct ebpf_other *o)
{
	return xasprintf(
		"the BPF program %s (id %u) of other software runs %s sluice's at "
		"%s: it sees the %s, and can refuse",
		o->name, o->id, o->is_before ? "before" : "after", o->hook,
		o->is_before ? "service address" : "endpoint");
}

static void add_other(void *data, const struct ebpf_other *o)
{
	add(data, format_other(o));
}

void ebpf_notes(const struct ebpf_sink *e, const struct sink_question *q,
		void (*fn)(void *data, const char *line), void *data)
{
	struct notes n = {e, q, fn, data};

	if (e->optout)
		ebpf_optout_list(e->optout, add_excluded, &n);
	add_endpoints(&n);
	ebpf_kernel_list_others(e->kernel, add_other, &n);
}

static void add_warning(void *data, const struct ebpf_other *o)
{
	_cleanup_(freep) char *line = format_other(o);

	add(data, xasprintf("ebpf: %s", line));
}

void ebpf_notes_others(const struct ebpf_sink *e,
		       void (*fn)(void *data, const char *line), void *data)
{
	struct notes n = {.e = e, .fn = fn, .data = data};

	ebpf_kernel_list_others(e->kernel, add_warning, &n);
}

static void log_other(void *data, const struct ebpf_other *o)
{
	struct ebpf_sink *e = data;
	_cleanup_(freep) char *line = NULL;

	for (size_t i = 0; i < e->n_others; i++)
		if (e->others[i] == o->id)
			return;
	e->others = xgrow(e->others, e->n_others, &e->others_cap, sizeof(*e->others));
	e->others[e->n_others++] = o->id;
	if (!e->has_applied)
		return;
	line = format_other(o);
	log_warn("ebpf: %s", line);
}

void ebpf_notes_log_others(struct ebpf_sink *e)
{
	ebpf_kernel_list_others(e->kernel, log_other, e);
}
