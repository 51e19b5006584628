/*
 * Each test is a block that falls through to the next one if it fails, so no jump
 * is longer than a block:
 *
 *	if source is in no source range and not the frontend's address: drop
 *	if it comes by lo: the node's decision
 *	if source is in the pod network: the pods' decision
 *	the external decision
 *
 * A filter cannot recognize pods by their interface: its number is unknown until the
 * pod exists. There the packet passes, and the connection is reset after accept().
 */
#include "proxy/relay/relay_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/mem.h"

#define PASS		 0xffffffffu
#define SOURCE_OFFSET(f) ((uint32_t)SKF_NET_OFF + ((f) == FAMILY_IPV4 ? 12 : 8))

static void add(struct relay_filter *f, struct sock_filter step)
{
	f->code = xgrow(f->code, f->n, &f->cap, sizeof(*f->code));
	f->code[f->n++] = step;
}

static void add_verdict(struct relay_filter *f, bool passes)
{
	add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, passes ? PASS : 0));
}

static uint32_t word_of(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
	       (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t mask_of(unsigned bits)
{
	return bits >= 32 ? UINT32_MAX : bits ? ~(UINT32_MAX >> bits) : 0;
}

/* end_test() fills in where the jumps of a failed test lead. */
static void add_source_test(struct relay_filter *f, enum family family,
			    const struct cidr *net)
{
	size_t len;
	const uint8_t *bytes = addr_bytes(&net->addr, &len);
	unsigned left = net->prefix_len;

	for (uint32_t at = 0; left && at < len; at += 4) {
		unsigned bits = left < 32 ? left : 32;

		add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						    SOURCE_OFFSET(family) + at));
		if (bits < 32)
			add(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
							    mask_of(bits)));
		add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						    word_of(bytes + at), 0, 0));
		left -= bits;
	}
}

/* The jumps since `first` that are taken on failure lead to the next instruction. */
static void end_test(struct relay_filter *f, size_t first)
{
	for (size_t i = first; i < f->n; i++)
		if (BPF_CLASS(f->code[i].code) == BPF_JMP &&
		    BPF_OP(f->code[i].code) == BPF_JEQ && !f->code[i].jf)
			f->code[i].jf = (uint8_t)(f->n - i - 1);
}

static void add_source_verdict(struct relay_filter *f, enum family family,
			       const struct cidr *net, bool passes)
{
	size_t first = f->n;

	add_source_test(f, family, net);
	add_verdict(f, passes);
	end_test(f, first);
}

static struct cidr host_cidr(const struct addr *a)
{
	return (struct cidr){*a, addr_family(a) == FAMILY_IPV4 ? 32 : 128};
}

static bool passes(const struct frontend *frontend, enum client_class class)
{
	return frontend->from[class].action != ACTION_DROP;
}

static bool knows_pods_by_interface(const struct relay_classifier *c)
{
	return c->detector == POD_DETECTOR_BRIDGE || c->detector == POD_DETECTOR_PREFIX;
}

static void add_classes(struct relay_filter *f, const struct relay_service *s,
			const struct frontend *frontend)
{
	const struct relay_classifier *c = &s->classifier;
	bool external = passes(frontend, CLIENT_EXTERNAL),
	     pod = passes(frontend, CLIENT_POD), node = passes(frontend, CLIENT_NODE);

	if (node != external || node != pod) {
		size_t first = f->n;

		add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						    (uint32_t)(SKF_AD_OFF +
							       SKF_AD_IFINDEX)));
		add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						    c->loopback_index, 0, 0));
		add_verdict(f, node);
		end_test(f, first);
	}
	if (c->detector == POD_DETECTOR_CIDR && pod != external)
		add_source_verdict(f, s->service->family, &c->pod_cidr, pod);
	add_verdict(f, external || (pod && knows_pods_by_interface(c)));
}

/* A range that contains the source leads to the classes, after the ranges. */
static void add_ranges(struct relay_filter *f, const struct relay_service *s,
		       const struct frontend *frontend)
{
	const struct service *service = s->service;
	const struct cidr *allowed = service_allowed(service),
			  own = host_cidr(&frontend->addr);
	size_t start = f->n;

	for (uint32_t i = 0; i <= service->n_allowed; i++) {
		size_t first = f->n;

		add_source_test(f, service->family,
				i < service->n_allowed ? &allowed[i] : &own);
		add(f, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
		end_test(f, first);
	}
	add_verdict(f, false);
	for (size_t i = start; i < f->n; i++)
		if (f->code[i].code == (BPF_JMP | BPF_JA))
			f->code[i].k = (uint32_t)(f->n - i - 1);
}

bool relay_filter_build(struct relay_filter *f, const struct relay_service *s,
			const struct frontend *frontend)
{
	if (frontend->is_limited)
		add_ranges(f, s, frontend);
	add_classes(f, s, frontend);
	if (f->n == 1 && f->code[0].k == PASS)
		f->n = 0;
	return f->n <= BPF_MAXINSNS;
}

void relay_filter_fini(struct relay_filter *f)
{
	free(f->code);
	*f = (struct relay_filter){0};
}

int relay_filter_attach(const struct relay_filter *f, int fd)
{
	const struct sock_fprog program = {.len = (unsigned short)f->n,
					   .filter = f->code};
	int unused = 0;

	if (f->n)
		return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				  sizeof(program)) == -1
			       ? -errno
			       : 0;
	if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) == -1 &&
	    errno != ENOENT)
		return -errno;
	return 0;
}
