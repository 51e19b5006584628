#include "bpf/ebpf_explain.h"

#include "bpf/ebpf_entry.h"

static const char *why_not_action(const struct sink_question *q)
{
	const struct service *s = q->service;
	const struct decision *d = &q->frontend->from[q->client];

	if (d->action == ACTION_DROP)
		return "packets can be dropped, sockets cannot";
	if (d->action == ACTION_REJECT && s->proto != IPPROTO_TCP)
		return "only TCP sockets can be refused";
	return "its decision differs from that of another address of the same kind";
}

/* The action of the row that the programs read. */
static enum ebpf_action action_of(const struct sink_question *q)
{
	uint64_t row = ebpf_rows_of(q->service, q->env) >>
		       (ebpf_row_of(q->service, q->frontend) * 8);

	return (enum ebpf_action)(q->client == CLIENT_NODE ? row & 0xf : row >> 4 & 0xf);
}

const char *ebpf_why_passed(const struct sink_question *q, bool is_host_only)
{
	enum ebpf_action action;

	if (!ebpf_is_served(q->service))
		return "only TCP and UDP sockets are translated";
	if (q->client == CLIENT_EXTERNAL)
		return "the client is not on this node";
	if (q->client == CLIENT_POD && is_host_only)
		return "--ebpf-host-only";
	if (q->env->masquerade_all)
		return "--masquerade-all: only packets can be masqueraded";
	if (q->frontend->is_limited)
		return "source ranges are checked for packets";
	if (q->client == CLIENT_POD && addr_is_loopback(&q->frontend->addr))
		return "a loopback address of a pod is its own";
	action = action_of(q);
	if (action == EBPF_PASS ||
	    (action == EBPF_REFUSE && q->service->proto != IPPROTO_TCP))
		return why_not_action(q);
	return NULL;
}
