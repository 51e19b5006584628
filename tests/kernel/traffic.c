#include "tests/kernel/traffic.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/outside.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define MAX_BACKENDS  8
#define MIN_TRIES     6
#define MAX_TRIES     200 /* of 4 endpoints, one stays unseen once in 10^24 */
#define REFUSAL_TRIES 20
#define SILENCE_MS    120
#define LATE_MS	      10000

struct expectation {
	struct addr backends[MAX_BACKENDS];
	uint16_t ports[MAX_BACKENDS];
	size_t n, n_seen;
	bool seen[MAX_BACKENDS], masquerade[MAX_BACKENDS];
	bool is_rewritten; /* never direct */
};

/*
 * In userspace mode an endpoint sees the node wherever a connection is relayed, and
 * "A ~B" means B: what this mode cannot do as the kernel does. Datagrams cannot be reset.
 */
static const char *expectation_of(const struct traffic_row *row, uint8_t proto,
				  char buf[static 256])
{
	const char *other = strchr(row->expect, '~');

	if (other && instance_is_userspace())
		return proto == IPPROTO_UDP && !strcmp(other, "~reset") ? "silent"
									: other + 1;
	(void)snprintf(buf, 256, "%.*s",
		       other ? (int)(other - row->expect) - 1 : (int)strlen(row->expect),
		       row->expect);
	return buf;
}

static struct expectation parse_expectation(const char *text, enum family family)
{
	struct expectation e = {.n = 0};
	char copy[256], *rest = copy, *item;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	while ((item = strsep(&rest, " "))) {
		char *mark = strchr(item, '+');

		if (mark == item) { /* for all that stand before it */
			memset(e.masquerade, true, e.n);
			e.is_rewritten = mark[1] == 'M';
			continue;
		}
		assert_true(e.n < MAX_BACKENDS);
		e.masquerade[e.n] = mark;
		if (mark)
			*mark = '\0';
		e.backends[e.n] = world_addr_port(item, family, &e.ports[e.n]);
		e.n++;
	}
	return e;
}

/* Which address the node has depends on the way out; both of these are its. */
static bool is_masqueraded(const struct addr *source, enum family family)
{
	struct addr a = world_addr("node", family), b = world_addr("node2", family);

	return addr_equal(source, &a) || addr_equal(source, &b);
}

/*
 * A socket of the node or of a pod goes straight to the endpoint in eBPF mode: no
 * packet is rewritten, and the endpoint sees the client where it would see the node.
 */
static bool is_direct(const struct world *w, const struct target *t)
{
	return w->outside && t->proto != IPPROTO_SCTP && t->procs != w->opted_out &&
	       !outside_is(w, world_place(t->from));
}

/* Through userspace mode; what does not belong to a Service never is. */
static bool is_relayed(const struct target *t, const struct answer *a)
{
	return instance_is_userspace() &&
	       (a->backend_port != t->port || !addr_equal(&a->backend, &t->addr));
}

static const char *judge_answer(const struct world *w, const struct target *t,
				struct expectation *e, const struct answer *a)
{
	bool direct = is_direct(w, t) && !e->is_rewritten, masquerade;
	size_t i;

	if (a->outcome != PROBE_ANSWERED)
		return "should be answered";
	for (i = 0; i < e->n; i++)
		if (addr_equal(&a->backend, &e->backends[i]) &&
		    a->backend_port == e->ports[i])
			break;
	if (i == e->n)
		return "by the wrong one";
	masquerade = is_relayed(t, a) || (e->masquerade[i] && !direct);
	if (masquerade && !is_masqueraded(&a->source, t->family))
		return "should be masqueraded";
	if (!masquerade && !addr_equal(&a->source, &a->own))
		return "should see the client's own address";
	e->n_seen += !e->seen[i];
	e->seen[i] = true;
	return NULL;
}

/* Waits longer for an answer that did not come in time: was it late, or lost? */
static struct answer probe_silent(const struct world *w, const struct target *t)
{
	struct answer a;
	int fd = probe_open(w, t, PROBE_PATIENCE_MS, &a);
	struct pollfd p = {fd, POLLIN, 0};

	if (t->proto == IPPROTO_UDP && a.outcome == PROBE_SILENT)
		print_message("%s, port %u: the answer %s\n", t->from, a.own_port,
			      poll(&p, 1, LATE_MS) == 1 ? "came late" : "was lost");
	probe_close(fd);
	return a;
}

/* One lost datagram in all rows may be the machine's doing; a second one is a fault. */
static struct answer probe_again(const struct world *w, const struct target *t)
{
	struct answer a = probe_silent(w, t);
	static bool has_lost;

	if (t->proto != IPPROTO_UDP || a.outcome != PROBE_SILENT || has_lost)
		return a;
	has_lost = true;
	print_message("%s: asked again\n", t->from);
	return probe_silent(w, t);
}

static const char *try_answers(const struct world *w, const struct target *t,
			       struct expectation *e, struct answer *last)
{
	const char *why;

	for (int i = 0; i < MAX_TRIES; i++) {
		*last = probe_again(w, t);
		why = judge_answer(w, t, e, last);
		if (why)
			return why;
		if (i + 1 >= MIN_TRIES && e->n_seen == e->n)
			return NULL;
	}
	return "an endpoint never answered";
}

/* The best of a few tries shows the kernel; the others show a busy machine. */
static const char *try_refusal(const struct world *w, const struct target *t,
			       struct answer *last)
{
	uint64_t best_us = UINT64_MAX;

	for (int i = 0; i < REFUSAL_TRIES; i++) {
		*last = probe(w, t, PROBE_PATIENCE_MS);
		if (last->outcome != PROBE_REFUSED)
			return "should be refused";
		if (last->by_icmp != (t->proto != IPPROTO_TCP))
			return "refused in the wrong way";
		if (last->took_us < best_us)
			best_us = last->took_us;
		if (i && best_us <= TRAFFIC_REFUSED_US)
			return NULL;
	}
	return "refused too late";
}

/* UDP sockets of the node get an error for packets dropped on the way out. */
static bool is_silence(const struct target *t, const struct answer *a)
{
	if (a->outcome == PROBE_FAILED && a->err == EPERM)
		return t->proto == IPPROTO_UDP && world_place(t->from) == PLACE_NODE;
	return a->outcome == PROBE_SILENT;
}

static const char *try_row(const struct world *w, const struct traffic_row *row,
			   const struct target *t, struct answer *last)
{
	struct expectation e;
	char buf[256];
	const char *expect = expectation_of(row, t->proto, buf);

	if (!strcmp(expect, "silent")) {
		*last = probe(w, t, SILENCE_MS);
		return is_silence(t, last) ? NULL : "should be silent";
	}
	if (!strcmp(expect, "refused"))
		return try_refusal(w, t, last);
	if (!strcmp(expect, "reset")) {
		*last = probe(w, t, PROBE_PATIENCE_MS);
		return last->err == ECONNRESET || last->err == EPIPE ? NULL
								     : "should be reset";
	}
	e = parse_expectation(expect, t->family);
	return try_answers(w, t, &e, last);
}

static bool is_wanted(const struct traffic_row *row, uint8_t proto, enum family family)
{
	const char *other_family = family == FAMILY_IPV4 ? "IPv6" : "IPv4";
	const char *only = row->only ? row->only : "";
	bool names_proto =
		strstr(only, "TCP") || strstr(only, "UDP") || strstr(only, "SCTP");

	if (strstr(only, other_family) ||
	    (instance_is_userspace() && proto == IPPROTO_SCTP))
		return false;
	/* "SCTP" has no "TCP" in it */
	return names_proto ? strstr(only, proto_name(proto)) != NULL
			   : proto != IPPROTO_SCTP;
}

enum client_kind {
	KIND_USUAL,
	KIND_UNCONNECTED,
	KIND_MAPPED,
	KIND_MAPPED_UNCONNECTED,
	KIND_POD_CGROUP,
	KIND_OPTED_OUT,
	KIND_N,
};
static const char *const kind_names[KIND_N] = {
	"",
	", unconnected",
	", mapped",
	", mapped and unconnected",
	", in a pod's cgroup",
	", opted out",
};

/* False: this target has no such clients. */
static bool set_kind(const struct world *w, struct target *t, enum client_kind kind)
{
	if (kind == KIND_USUAL)
		return true;
	t->is_unconnected = kind == KIND_UNCONNECTED || kind == KIND_MAPPED_UNCONNECTED;
	t->is_mapped = kind == KIND_MAPPED || kind == KIND_MAPPED_UNCONNECTED;
	if (kind == KIND_POD_CGROUP)
		t->procs = w->pod;
	if (kind == KIND_OPTED_OUT)
		t->procs = w->opted_out;
	return w->outside && t->proto != IPPROTO_SCTP &&
	       !outside_is(w, world_place(t->from)) &&
	       (t->proto == IPPROTO_UDP || !t->is_unconnected) &&
	       (t->family == FAMILY_IPV4 || !t->is_mapped);
}

/* True when it is as expected. */
static bool check_row(const struct world *w, const struct traffic_row *row,
		      const struct target *t, const char *kind)
{
	struct answer last = {0};
	char text[ANSWER_TEXT_LEN];
	const char *why = try_row(w, row, t, &last);

	if (why)
		print_error("%s -> %s, %s %s%s, '%s': %s: %s\n", row->from, row->to,
			    family_name(t->family), proto_name(t->proto), kind,
			    row->expect, why, answer_format(&last, text));
	return !why;
}

void traffic_check(const struct world *w, const struct traffic_row *rows, size_t n)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	const size_t n_kinds = N_ELEMENTS(protos) * FAMILY_N;
	size_t n_wrong = 0;

	/* a UDP flow of earlier rows with equal ports would keep its translation; it is not an error if there are none */
	(void)world_run(w, PLACE_NODE, "conntrack -D -p udp >/dev/null 2>&1");
	for (size_t i = 0; i < n * n_kinds; i++) {
		const struct traffic_row *row = &rows[i / n_kinds];
		uint8_t proto = protos[i % N_ELEMENTS(protos)];
		enum family family = (enum family)(i / N_ELEMENTS(protos) % FAMILY_N);

		if (!is_wanted(row, proto, family))
			continue;
		for (enum client_kind k = 0; k < KIND_N; k++) {
			struct target t = target_named(row->from, row->to, proto, family);

			if (set_kind(w, &t, k))
				n_wrong += !check_row(w, row, &t, kind_names[k]);
		}
	}
	if (n_wrong)
		fail_msg("%zu rows are not as expected", n_wrong);
}
