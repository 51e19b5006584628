/*
 * The loop and the thread share a job.  Until is_done is set only the thread uses
 * its slots, after that only the loop. The last reference frees it.
 */
#include "rules/conntrack/flow_census.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "core/node_list.h"
#include "core/thread.h"
#include "rules/conntrack/conntrack_dump.h"
#include "rules/conntrack/conntrack_reader.h"
#include "rules/conntrack/conntrack_socket.h"

#define MAX_FILTERED 4 /* frontends that are dumped one by one */
/* Bits of CTA_FILTER_ORIG_FLAGS that have no names in the kernel's public headers. */
#define FILTER_DST_ADDR	 (1 << 1)
#define FILTER_PROTO_NUM (1 << 3)
#define FILTER_DST_PORT	 (1 << 5)

struct place { /* a frontend */
	struct addr addr;
	uint16_t port;
	uint8_t proto, zero;
	uint32_t service, index;
};
#define PLACE_KEY_LEN offsetof(struct place, service)
_Static_assert(PLACE_KEY_LEN == 20, "compared as bytes");

struct job {
	unsigned refs;	  /* atomic */
	bool is_canceled; /* atomic */
	bool is_done;	  /* atomic */
	int err;
	bool has_flows, has_bytes;
	struct service **services; /* references */
	size_t n;
	struct node_list nodes[FAMILY_N];
	size_t *first;		  /* of each service: the slot of its first frontend */
	struct sink_flows *slots; /* of a service: frontends, then endpoints */
	struct place *places;	  /* sorted */
	size_t n_places;
};

struct flow_census {
	struct sink_census census;
	struct job *job;
	bool *is_busy;
	bool is_started;
};

static void job_unref(struct job *job)
{
	if (__atomic_sub_fetch(&job->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (size_t i = 0; i < job->n; i++)
		service_unref(job->services[i]);
	for (enum family family = 0; family < FAMILY_N; family++)
		node_list_fini(&job->nodes[family]);
	free(job->services);
	free(job->first);
	free(job->slots);
	free(job->places);
	free(job);
}

/* ---- the thread ---- */

static int compare_places(const void *a, const void *b)
{
	return memcmp(a, b, PLACE_KEY_LEN);
}

static struct place make_place(const struct addr *addr, uint16_t port, uint8_t proto)
{
	return (struct place){.addr = *addr, .port = port, .proto = proto};
}

static void make_index(struct job *job)
{
	size_t n_slots = 0;

	job->first = xcalloc(job->n + 1, sizeof(*job->first));
	for (size_t i = 0; i < job->n; i++) {
		job->first[i] = n_slots;
		n_slots += job->services[i]->n_frontends + job->services[i]->n_endpoints;
		job->n_places += job->services[i]->n_frontends;
	}
	job->slots = xcalloc(n_slots + 1, sizeof(*job->slots));
	job->places = xcalloc(job->n_places + 1, sizeof(*job->places));
	job->n_places = 0;
	for (uint32_t i = 0; i < job->n; i++) {
		const struct service *s = job->services[i];
		const struct frontend *f = service_frontends(s);

		for (uint32_t j = 0; j < s->n_frontends; j++) {
			struct place place = make_place(&f[j].addr, f[j].port, s->proto);

			place.service = i;
			place.index = j;
			job->places[job->n_places++] = place;
		}
	}
	qsort(job->places, job->n_places, sizeof(*job->places), compare_places);
}

static const struct place *find_place(const struct job *job, const struct flow *flow)
{
	const struct addr *dst = &flow->original.dst;
	struct place key = make_place(dst, flow->original.dst_port, flow->proto);
	const struct place *found =
		bsearch(&key, job->places, job->n_places, sizeof(key), compare_places);

	if (found || !node_list_has(&job->nodes[addr_family(dst)], dst))
		return found;
	key.addr = addr_unspecified(addr_family(dst));
	return bsearch(&key, job->places, job->n_places, sizeof(key), compare_places);
}

static int compare_endpoints(const void *a, const void *b)
{
	return service_compare_endpoint(a, b);
}

static struct sink_flows *endpoint_slot(const struct job *job, const struct place *place,
					const struct flow_ends *reply)
{
	const struct service *s = job->services[place->service];
	const struct endpoint key = {.addr = reply->src, .port = reply->src_port};
	const struct endpoint *endpoints = service_endpoints(s), *found = NULL;

	if (s->n_endpoints)
		found = bsearch(&key, endpoints, s->n_endpoints, sizeof(key),
				compare_endpoints);
	return found ? &job->slots[job->first[place->service] + s->n_frontends +
				   (size_t)(found - endpoints)]
		     : NULL;
}

static void add(struct sink_flows *slot, const struct conntrack_traffic *traffic)
{
	slot->n += !traffic->is_ended;
	for (size_t i = 0; i < 2; i++) {
		slot->n_packets[i] += traffic->n_packets[i];
		slot->n_bytes[i] += traffic->n_bytes[i];
	}
}

static int take_flow(void *data, const struct nlmsghdr *message)
{
	struct job *job = data;
	struct conntrack_traffic traffic;
	struct conntrack_flow found;
	const struct flow *flow = &found.flow;
	const struct place *place;
	struct sink_flows *endpoint;

	if (!conntrack_read_flow(message, &found) ||
	    addr_equal(&flow->reply.src, &flow->original.dst))
		return 0;
	place = find_place(job, flow);
	if (!place)
		return 0;
	conntrack_read_traffic(message, flow->proto, &traffic);
	job->has_flows = true;
	job->has_bytes |= traffic.has_counters;
	add(&job->slots[job->first[place->service] + place->index], &traffic);
	endpoint = endpoint_slot(job, place, &flow->reply);
	if (endpoint)
		add(endpoint, &traffic);
	return 0;
}

static struct nlmsghdr *put_request(void *buf, int af)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = (uint8_t)af;
	nfg->version = NFNETLINK_V0;
	mnl_attr_put_u32(nlh, CTA_STATUS, htonl(IPS_DST_NAT));
	mnl_attr_put_u32(nlh, CTA_STATUS_MASK, htonl(IPS_DST_NAT));
	return nlh;
}

/* Flows to this frontend; a kernel that ignores the filter sends more. */
static void put_filter(struct nlmsghdr *nlh, const struct place *place)
{
	enum family family = addr_family(&place->addr);
	const struct addr any = addr_unspecified(family);
	bool has_addr = !addr_equal(&place->addr, &any);
	struct nlattr *tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG), *nest;
	size_t len;
	const uint8_t *bytes = addr_bytes(&place->addr, &len);

	if (has_addr) {
		nest = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
		mnl_attr_put(nlh, family == FAMILY_IPV4 ? CTA_IP_V4_DST : CTA_IP_V6_DST,
			     len, bytes);
		mnl_attr_nest_end(nlh, nest);
	}
	nest = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, place->proto);
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons(place->port));
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, tuple);
	nest = mnl_attr_nest_start(nlh, CTA_FILTER);
	mnl_attr_put_u32(nlh, CTA_FILTER_ORIG_FLAGS,
			 FILTER_PROTO_NUM | FILTER_DST_PORT |
				 (has_addr ? FILTER_DST_ADDR : 0));
	mnl_attr_put_u32(nlh, CTA_FILTER_REPLY_FLAGS, 0);
	mnl_attr_nest_end(nlh, nest);
}

/* place: NULL for all flows. */
static int dump(struct job *job, struct mnl_socket *nl, char *buf,
		const struct place *place)
{
	_Alignas(struct nlmsghdr) char request[CONNTRACK_REQUEST_MAX];
	int af = place ? family_af(addr_family(&place->addr)) : AF_UNSPEC, more = 1;
	struct nlmsghdr *nlh = put_request(request, af);
	struct netlink_reader reader = {.seq = 1, .message = take_flow, .data = job};

	if (place)
		put_filter(nlh, place);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		return -errno;
	while (more == 1) {
		ssize_t len = conntrack_socket_receive(nl, buf);

		if (len < 0)
			return (int)len;
		if (__atomic_load_n(&job->is_canceled, __ATOMIC_RELAXED))
			return -ECANCELED;
		more = netlink_reader_feed(&reader, buf, (size_t)len);
	}
	return more;
}

static int count(struct job *job)
{
	_cleanup_(freep) char *buf = xmalloc(CONNTRACK_DATAGRAM_MAX);
	_cleanup_(conntrack_socket_closep) struct mnl_socket *nl = NULL;
	int err = conntrack_socket_open(&nl);

	make_index(job);
	if (err < 0)
		return err;
	if (job->n_places > MAX_FILTERED)
		return dump(job, nl, buf, NULL);
	for (size_t i = 0; i < job->n_places && err == 0; i++)
		err = dump(job, nl, buf, &job->places[i]);
	return err;
}

static void *run(void *data)
{
	struct job *job = data;

	job->err = count(job);
	__atomic_store_n(&job->is_done, true, __ATOMIC_RELEASE);
	job_unref(job);
	return NULL;
}

/* ---- the loop ---- */

static int start_thread(struct job *job)
{
	pthread_t thread;
	int err;

	job->refs++;
	err = thread_start(&thread, run, job);
	if (err)
		job_unref(job);
	else
		(void)pthread_detach(thread);
	return err;
}

static int flow_census_step(struct sink_census *census)
{
	struct flow_census *c = container_of(census, struct flow_census, census);
	int err;

	if (!c->is_started && *c->is_busy)
		return 1;
	if (!c->is_started) {
		err = start_thread(c->job);
		if (err < 0)
			return err;
		*c->is_busy = c->is_started = true;
		return 1;
	}
	return __atomic_load_n(&c->job->is_done, __ATOMIC_ACQUIRE) ? c->job->err : 1;
}

static bool flow_census_has_bytes(const struct sink_census *census)
{
	const struct job *job = container_of(census, struct flow_census, census)->job;

	return job->has_bytes || !job->has_flows;
}

static const struct sink_flows *flow_census_of(const struct sink_census *census,
					       size_t service, bool is_endpoint,
					       uint32_t i)
{
	const struct job *job = container_of(census, struct flow_census, census)->job;
	size_t slot = job->first[service] + i;

	return &job->slots[is_endpoint ? slot + job->services[service]->n_frontends
				       : slot];
}

static void flow_census_free(struct sink_census *census)
{
	struct flow_census *c = container_of(census, struct flow_census, census);

	__atomic_store_n(&c->job->is_canceled, true, __ATOMIC_RELAXED);
	if (c->is_started)
		*c->is_busy = false;
	job_unref(c->job);
	free(c);
}

struct sink_census *flow_census_new(const struct changeset *of, bool *is_busy)
{
	static const struct sink_census_ops ops = {
		.step = flow_census_step,
		.has_bytes = flow_census_has_bytes,
		.of = flow_census_of,
		.free = flow_census_free,
	};
	struct flow_census *c = xcalloc(1, sizeof(*c));
	struct job *job = xcalloc(1, sizeof(*job));

	c->census.ops = &ops;
	c->is_busy = is_busy;
	c->job = job;
	job->refs = 1;
	job->services = xcalloc(of->n + 1, sizeof(struct service *));
	for (size_t i = 0; i < of->n; i++)
		job->services[job->n++] = service_ref(of->changes[i].new);
	for (enum family family = 0; family < FAMILY_N; family++)
		node_list_set(&job->nodes[family], of->env, family);
	return &c->census;
}
