/*
 * Two sockets: one that dumps, one that deletes meanwhile.  Deletions are sent
 * many at a time and without asking for acknowledgements: only failures come
 * back, and the kernel has put them into the socket when the send returns.
 */
#include "rules/conntrack/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "rules/conntrack/conntrack_reader.h"

#define DUMP_BUFFER_LEN	 32768
#define MAX_DELETIONS	 64  /* so that even if all fail, the answers fit the socket */
#define MAX_DELETION_LEN 512 /* of one of them: a tuple, zone, id and headers */
#define MAX_TUPLE_LEN	 400 /* of IPv6, with its zone: about 100 */
#define MAX_DUMPS	 3
#define DUMP_SEQ	 1
/* Bit of CTA_FILTER_ORIG_FLAGS that has no name in the kernel's public headers. */
#define FILTER_PROTO_NUM (1 << 3)

struct pruner {
	struct mnl_socket *deleting;
	enum conntrack_scope scope;
	bool (*is_unwanted)(void *data, const struct flow *flow);
	void *data;
	char *pending; /* deletions not yet sent */
	size_t pending_len;
	unsigned int n_pending;
	uint64_t n_deleted;
	int err; /* the first failure of a deletion */
};

static void socket_closep(struct mnl_socket **nl)
{
	if (*nl)
		(void)mnl_socket_close(*nl);
}

static int socket_open(struct mnl_socket **ret)
{
	/* The kernel answers inside the system call; this is for the day it doesn't. */
	const struct timeval patience = {.tv_sec = 10};
	_cleanup_(socket_closep) struct mnl_socket *nl = NULL;

	nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == -1)
		return -errno;
	(void)setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &patience,
			 sizeof(patience));
	*ret = take_ptr(nl);
	return 0;
}

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

/* A failed deletion; that the flow is gone already is what we wanted. */
static void note_failure(struct pruner *p, const struct nlmsghdr *nlh, size_t len)
{
	const struct nlmsgerr *answer = mnl_nlmsg_get_payload(nlh);

	if (!netlink_is_message(nlh, (int)len) || nlh->nlmsg_type != NLMSG_ERROR ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*answer) || answer->error == 0)
		return;
	p->n_deleted--;
	if (answer->error != -ENOENT && p->err == 0)
		p->err = answer->error;
}

static void send_deletions(struct pruner *p)
{
	_Alignas(struct nlmsghdr) char answer[1024];
	ssize_t len;
	int fd = mnl_socket_get_fd(p->deleting);

	if (p->n_pending == 0)
		return;
	if (mnl_socket_sendto(p->deleting, p->pending, p->pending_len) == -1) {
		p->err = p->err ? p->err : -errno;
	} else {
		p->n_deleted += p->n_pending;
		while ((len = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) > 0)
			note_failure(p, (const struct nlmsghdr *)(void *)answer,
				     (size_t)len);
	}
	p->pending_len = 0;
	p->n_pending = 0;
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
static void queue_deletion(struct pruner *p, const struct conntrack_flow *found)
{
	int af = family_af(addr_family(&found->flow.original.dst));
	struct nlmsghdr *nlh;

	if (mnl_attr_get_payload_len(found->tuple) > MAX_TUPLE_LEN)
		return;
	if (p->n_pending == MAX_DELETIONS)
		send_deletions(p);
	nlh = put_header(p->pending + p->pending_len, IPCTNL_MSG_CT_DELETE, 0, af);
	copy_attr(nlh, found->tuple);
	copy_attr(nlh, found->zone);
	copy_attr(nlh, found->id);
	p->pending_len += MNL_ALIGN(nlh->nlmsg_len);
	p->n_pending++;
}

/* As put_filter() says it, for older kernels that don't filter. */
static bool is_in_scope(enum conntrack_scope scope, const struct flow *flow)
{
	return scope == CONNTRACK_UDP ? flow->proto == IPPROTO_UDP : flow->is_opening;
}

static void consider(void *data, const struct conntrack_flow *found)
{
	struct pruner *p = data;

	if (is_in_scope(p->scope, &found->flow) && p->is_unwanted(p->data, &found->flow))
		queue_deletion(p, found);
}

/* Kernels that don't know CTA_FILTER ignore it together with the tuple. */
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

/* Those with none of these bits. */
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

/* One dump; *ret_interrupted when the kernel says that it may have missed some. */
static int dump(struct pruner *p, enum family family, bool *ret_interrupted)
{
	_cleanup_(socket_closep) struct mnl_socket *nl = NULL;
	_cleanup_(freep) char *buf = xmalloc(DUMP_BUFFER_LEN);
	struct conntrack_reader reader = {.seq = DUMP_SEQ, .fn = consider, .data = p};
	struct nlmsghdr *nlh;
	ssize_t len;
	int err;

	err = socket_open(&nl);
	if (err < 0)
		return err;
	nlh = put_header(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family_af(family));
	put_filter(nlh, p->scope);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		return -errno;
	do {
		len = mnl_socket_recvfrom(nl, buf, DUMP_BUFFER_LEN);
		if (len == -1 && errno == EINTR) {
			err = 1;
			continue;
		}
		if (len == -1)
			return -errno;
		err = conntrack_reader_feed(&reader, buf, (size_t)len);
	} while (err == 1);
	*ret_interrupted = reader.is_interrupted;
	return err;
}

int conntrack_probe(void)
{
	_Alignas(struct nlmsghdr) char buf[4096];
	_cleanup_(socket_closep) struct mnl_socket *nl = NULL;
	struct nlmsghdr *nlh;
	ssize_t len;
	int err;

	err = socket_open(&nl);
	if (err < 0)
		return err;
	nlh = put_header(buf, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, AF_UNSPEC);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		return -errno;
	len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (len == -1)
		return -errno;
	err = mnl_cb_run(buf, (size_t)len, DUMP_SEQ, mnl_socket_get_portid(nl), NULL,
			 NULL);
	return err == -1 ? -errno : 0;
}

int conntrack_prune(enum family family, enum conntrack_scope scope,
		    bool (*is_unwanted)(void *data, const struct flow *flow), void *data,
		    uint64_t *ret_deleted)
{
	_cleanup_(socket_closep) struct mnl_socket *deleting = NULL;
	_cleanup_(freep) char *pending = xmalloc(MAX_DELETIONS * MAX_DELETION_LEN);
	struct pruner p = {
		.scope = scope,
		.is_unwanted = is_unwanted,
		.data = data,
		.pending = pending,
	};
	bool is_again = true;
	int err;

	err = socket_open(&deleting);
	if (err < 0)
		return err;
	p.deleting = deleting;
	for (int i = 0; i < MAX_DUMPS && err == 0 && is_again; i++) {
		uint64_t n_before = p.n_deleted;

		err = dump(&p, family, &is_again);
		send_deletions(&p);
		is_again |= scope == CONNTRACK_UDP && p.n_deleted > n_before;
	}
	*ret_deleted = p.n_deleted;
	return err < 0 ? err : p.err;
}
