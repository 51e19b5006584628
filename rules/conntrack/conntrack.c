/*
 * A thread dumps (conntrack_dump.h), and the loop deletes meanwhile.  Deletions are
 * sent many at a time and without acknowledgements: the kernel answers failures
 * only, and has put them into the socket when the send returns.
 */
#include "rules/conntrack/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "rules/conntrack/conntrack_dump.h"
#include "rules/conntrack/conntrack_reader.h"
#include "rules/conntrack/conntrack_socket.h"

#define MAX_DELETIONS	 32  /* even if all fail, the answers fit the socket */
#define MAX_DELETION_LEN 512 /* of one of them: a tuple, zone, id and headers */
#define MAX_TUPLE_LEN	 400 /* of IPv6, with its zone: about 100 */
#define MAX_DUMPS	 3
#define STEP_US		 2000
#define DUMP_SEQ	 1
/* Bit of CTA_FILTER_ORIG_FLAGS that has no name in the kernel's public headers. */
#define FILTER_PROTO_NUM (1 << 3)

struct conntrack {
	struct conntrack_dump *dump;
	struct mnl_socket *deleting;
	struct conntrack_pass pass;
	struct netlink_reader reader;
	char *datagram; /* of the dump, aligned; it stays in the socket until its end */
	size_t len, at; /* at: the next message of it; len 0: none */
	unsigned n_dumps;
	char *pending; /* deletions not yet sent */
	size_t pending_len;
	unsigned int n_pending;
	uint64_t n_deleted;
	uint64_t n_before; /* n_deleted when the dump was started */
	int err;	   /* the first failure of a deletion */
};

static struct nlmsghdr *put_header(void *buf, uint16_t message, uint16_t flags, int af)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | message);
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = DUMP_SEQ;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = (uint8_t)af;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

/* A failed deletion; a flow that has ended meanwhile is not an error. */
static void note_failure(struct conntrack *c, const struct nlmsghdr *nlh, int len)
{
	int err;

	if (!netlink_is_message(nlh, len) || nlh->nlmsg_type != NLMSG_ERROR)
		return;
	err = netlink_error(nlh);
	c->n_deleted -= err != 0;
	if (err != -ENOENT && c->err == 0)
		c->err = err;
}

static void send_deletions(struct conntrack *c)
{
	_Alignas(struct nlmsghdr) char answer[1024];
	ssize_t len;
	int fd = mnl_socket_get_fd(c->deleting);

	if (c->n_pending == 0)
		return;
	if (mnl_socket_sendto(c->deleting, c->pending, c->pending_len) == -1) {
		c->err = c->err ? c->err : -errno;
	} else {
		c->n_deleted += c->n_pending;
		while ((len = netlink_receive(fd, answer, sizeof(answer), MSG_DONTWAIT)) >
		       0)
			note_failure(c, (const void *)answer, (int)len);
	}
	c->pending_len = 0;
	c->n_pending = 0;
}

static void copy_attr(struct nlmsghdr *nlh, const struct nlattr *attr)
{
	if (attr)
		mnl_attr_put(nlh, attr->nla_type, mnl_attr_get_payload_len(attr),
			     mnl_attr_get_payload(attr));
}

/*
 * The id makes it this very flow, and not one that came after it with the same
 * addresses; the zone is part of its identity.
 */
static void queue_deletion(struct conntrack *c, const struct conntrack_flow *found)
{
	int af = family_af(addr_family(&found->flow.original.dst));
	struct nlmsghdr *nlh;

	if (mnl_attr_get_payload_len(found->tuple) > MAX_TUPLE_LEN)
		return;
	if (c->n_pending == MAX_DELETIONS)
		send_deletions(c);
	nlh = put_header(c->pending + c->pending_len, IPCTNL_MSG_CT_DELETE, 0, af);
	copy_attr(nlh, found->tuple);
	copy_attr(nlh, found->zone);
	copy_attr(nlh, found->id);
	c->pending_len += MNL_ALIGN(nlh->nlmsg_len);
	c->n_pending++;
}

/* The same as put_filter(), for older kernels that don't filter. */
static bool is_in_scope(enum conntrack_scope scope, const struct flow *flow)
{
	return scope == CONNTRACK_UDP ? flow->proto == IPPROTO_UDP : flow->is_opening;
}

static int consider(void *data, const struct nlmsghdr *message)
{
	struct conntrack *c = data;
	struct conntrack_flow found;

	if (conntrack_read_flow(message, &found) &&
	    is_in_scope(c->pass.scope, &found.flow) &&
	    c->pass.is_unwanted(c->pass.data, &found.flow))
		queue_deletion(c, &found);
	return 0;
}

/* Kernels without CTA_FILTER ignore it together with the tuple. */
static void put_udp_filter(struct nlmsghdr *nlh)
{
	struct nlattr *tuple, *proto, *filter;

	tuple = mnl_attr_nest_start(nlh, CTA_TUPLE_ORIG);
	proto = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, IPPROTO_UDP);
	mnl_attr_nest_end(nlh, proto);
	mnl_attr_nest_end(nlh, tuple);
	filter = mnl_attr_nest_start(nlh, CTA_FILTER);
	mnl_attr_put_u32(nlh, CTA_FILTER_ORIG_FLAGS, FILTER_PROTO_NUM);
	mnl_attr_put_u32(nlh, CTA_FILTER_REPLY_FLAGS, 0);
	mnl_attr_nest_end(nlh, filter);
}

/* Flows with none of these bits. */
static void put_status_filter(struct nlmsghdr *nlh)
{
	mnl_attr_put_u32(nlh, CTA_STATUS, 0);
	mnl_attr_put_u32(nlh, CTA_STATUS_MASK, htonl(IPS_SEEN_REPLY | IPS_DST_NAT));
}

static void put_filter(struct nlmsghdr *nlh, enum conntrack_scope scope)
{
	if (scope == CONNTRACK_UDP)
		put_udp_filter(nlh);
	else
		put_status_filter(nlh);
}

static int start_dump(struct conntrack *c)
{
	_Alignas(struct nlmsghdr) char buf[CONNTRACK_REQUEST_MAX];
	struct nlmsghdr *request =
		put_header(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family_af(c->pass.family));

	put_filter(request, c->pass.scope);
	c->reader = (struct netlink_reader){
		.seq = DUMP_SEQ,
		.message = consider,
		.data = c,
	};
	c->n_before = c->n_deleted;
	c->n_dumps++;
	return conntrack_dump_start(c->dump, request);
}

/* The kernel may have missed flows, or answers on their way may have made new ones. */
static int end_dump(struct conntrack *c, int err)
{
	bool is_again = c->reader.is_interrupted;

	send_deletions(c);
	is_again |= c->pass.scope == CONNTRACK_UDP && c->n_deleted > c->n_before;
	if (err == 0 && is_again && c->n_dumps < MAX_DUMPS)
		err = start_dump(c);
	else
		return err < 0 ? err : c->err;
	return err < 0 ? err : -EINPROGRESS;
}

static int ignore(void *data, const struct nlmsghdr *message)
{
	return 0;
}

/* 0, or -errno when conntrack's netlink interface is missing or not permitted. */
static int probe(struct mnl_socket *nl)
{
	struct netlink_reader reader = {.seq = DUMP_SEQ, .message = ignore};
	_Alignas(struct nlmsghdr) char buf[4096];
	struct nlmsghdr *nlh;

	nlh = put_header(buf, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, AF_UNSPEC);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		return -errno;
	return netlink_reader_run(&reader, mnl_socket_get_fd(nl), buf, sizeof(buf));
}

int conntrack_open(struct conntrack **ret)
{
	_cleanup_(conntrack_socket_closep) struct mnl_socket *nl = NULL;
	_cleanup_(conntrack_dump_closep) struct conntrack_dump *dump = NULL;
	struct conntrack *c;
	int err;

	err = conntrack_socket_open(&nl);
	if (err == 0)
		err = probe(nl);
	if (err == 0)
		err = conntrack_dump_open(&dump);
	if (err < 0)
		return err;
	c = xcalloc(1, sizeof(*c));
	c->deleting = take_ptr(nl);
	c->dump = take_ptr(dump);
	c->datagram = xmalloc(CONNTRACK_DATAGRAM_MAX);
	c->pending = xmalloc(MAX_DELETIONS * MAX_DELETION_LEN);
	*ret = c;
	return 0;
}

void conntrack_close(struct conntrack *c)
{
	if (!c)
		return;
	conntrack_dump_close(c->dump);
	conntrack_socket_close(c->deleting);
	free(c->datagram);
	free(c->pending);
	free(c);
}

int conntrack_fd(const struct conntrack *c)
{
	return conntrack_dump_fd(c->dump);
}

int conntrack_prune(struct conntrack *c, const struct conntrack_pass *pass)
{
	c->pass = *pass;
	c->n_dumps = 0;
	c->n_deleted = 0;
	c->err = 0;
	return start_dump(c);
}

/*
 * A message of the datagram, so that the deletions for a whole one do not have to fit
 * into a step.  1: the dump continues, 0: it is complete, or -errno.
 */
static int feed_message(struct conntrack *c)
{
	const struct nlmsghdr *nlh = (const void *)(c->datagram + c->at);
	size_t left = c->len - c->at, len = left;
	int err;

	if (netlink_is_message(nlh, (int)left) && NLMSG_ALIGN(nlh->nlmsg_len) < left)
		len = NLMSG_ALIGN(nlh->nlmsg_len);
	err = netlink_reader_feed(&c->reader, nlh, len);
	c->at += len;
	if (err == 1 && c->at < c->len)
		return 1;
	c->len = c->at = 0;
	conntrack_dump_drop(c->dump);
	return err;
}

int conntrack_step(struct conntrack *c)
{
	uint64_t start_us = clock_monotonic_us();

	do {
		ssize_t len = (ssize_t)c->len;
		int err;

		if (len == 0)
			len = conntrack_dump_peek(c->dump, c->datagram);
		if (len == -EAGAIN)
			return -EINPROGRESS;
		if (len > 0)
			c->len = (size_t)len;
		err = len < 0 ? (int)len : feed_message(c);
		if (err != 1)
			return end_dump(c, err);
	} while (clock_monotonic_us() - start_us < STEP_US);
	return -EINPROGRESS;
}

uint64_t conntrack_n_deleted(const struct conntrack *c)
{
	return c->n_deleted;
}
