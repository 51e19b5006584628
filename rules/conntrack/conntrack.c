/*
 * Two sockets: one that dumps, one that deletes meanwhile.  Deletions are sent
 * many at a time and without acknowledgements: the kernel answers failures only,
 * and has put them into the socket when the send returns.
 *
 * The time of a call is bounded, because the event loop waits for it.
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
#include "core/clock.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "rules/conntrack/conntrack_reader.h"

#define DUMP_BUFFER_LEN	 32768
#define MAX_DELETIONS	 64  /* so that even if all fail, the answers fit the socket */
#define MAX_DELETION_LEN 512 /* of one of them: a tuple, zone, id and headers */
#define MAX_TUPLE_LEN	 400 /* of IPv6, with its zone: about 100 */
#define MAX_DUMPS	 3
#define REPEAT_MAX_US	 2000000 /* a dump is repeated only until then */
#define DUMP_MAX_US	 5000000 /* one is given up then */
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
	uint64_t start_us;
};

static void socket_closep(struct mnl_socket **nl)
{
	if (*nl)
		(void)mnl_socket_close(*nl);
}

static int socket_open(struct mnl_socket **ret)
{
	/* The kernel answers inside the system call; this is for a kernel that does not. */
	const struct timeval patience = {.tv_sec = 1};
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

/* A failed deletion; a flow that has ended meanwhile is not an error. */
static void note_failure(struct pruner *p, const struct nlmsghdr *nlh, int len)
{
	int err;

	if (!netlink_is_message(nlh, len) || nlh->nlmsg_type != NLMSG_ERROR)
		return;
	err = netlink_error(nlh);
	p->n_deleted -= err != 0;
	if (err != -ENOENT && p->err == 0)
		p->err = err;
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
		while ((len = netlink_receive(fd, answer, sizeof(answer), MSG_DONTWAIT)) >
		       0)
			note_failure(p, (const void *)answer, (int)len);
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

/* The same as put_filter(), for older kernels that don't filter. */
static bool is_in_scope(enum conntrack_scope scope, const struct flow *flow)
{
	return scope == CONNTRACK_UDP ? flow->proto == IPPROTO_UDP : flow->is_opening;
}

static int consider(void *data, const struct nlmsghdr *message)
{
	struct pruner *p = data;
	struct conntrack_flow found;

	if (conntrack_read_flow(message, &found) && is_in_scope(p->scope, &found.flow) &&
	    p->is_unwanted(p->data, &found.flow))
		queue_deletion(p, &found);
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

/* Receives a dump, for a limited time. */
static int receive_dump(const struct pruner *p, struct netlink_reader *reader, int fd,
			void *buf)
{
	int err = 1;

	while (err == 1) {
		ssize_t len = netlink_receive(fd, buf, DUMP_BUFFER_LEN, 0);

		if (len < 0)
			return len == -EAGAIN ? -ETIMEDOUT : (int)len;
		err = netlink_reader_feed(reader, buf, (size_t)len);
		if (err == 1 && clock_monotonic_us() - p->start_us > DUMP_MAX_US)
			return -ETIMEDOUT;
	}
	return err;
}

/* One dump; *ret_interrupted when the kernel reports that it may have missed some. */
static int dump(struct pruner *p, enum family family, bool *ret_interrupted)
{
	_cleanup_(socket_closep) struct mnl_socket *nl = NULL;
	_cleanup_(freep) char *buf = xmalloc(DUMP_BUFFER_LEN);
	struct netlink_reader reader = {
		.seq = DUMP_SEQ,
		.message = consider,
		.data = p,
	};
	struct nlmsghdr *nlh;
	int err;

	err = socket_open(&nl);
	if (err < 0)
		return err;
	nlh = put_header(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family_af(family));
	put_filter(nlh, p->scope);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		return -errno;
	err = receive_dump(p, &reader, mnl_socket_get_fd(nl), buf);
	*ret_interrupted = reader.is_interrupted;
	return err;
}

static int ignore(void *data, const struct nlmsghdr *message)
{
	return 0;
}

int conntrack_probe(void)
{
	struct netlink_reader reader = {.seq = DUMP_SEQ, .message = ignore};
	_Alignas(struct nlmsghdr) char buf[4096];
	_cleanup_(socket_closep) struct mnl_socket *nl = NULL;
	struct nlmsghdr *nlh;
	int err;

	err = socket_open(&nl);
	if (err < 0)
		return err;
	nlh = put_header(buf, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, AF_UNSPEC);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		return -errno;
	return netlink_reader_run(&reader, mnl_socket_get_fd(nl), buf, sizeof(buf));
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
		.start_us = clock_monotonic_us(),
	};
	bool is_again = true;
	int err;

	err = socket_open(&deleting);
	if (err < 0)
		return err;
	p.deleting = deleting;
	for (int i = 0; i < MAX_DUMPS && err == 0 && is_again; i++) {
		uint64_t n_before = p.n_deleted;

		if (i > 0 && clock_monotonic_us() - p.start_us > REPEAT_MAX_US) {
			err = -EAGAIN;
			break;
		}
		err = dump(&p, family, &is_again);
		send_deletions(&p);
		is_again |= scope == CONNTRACK_UDP && p.n_deleted > n_before;
	}
	*ret_deleted = p.n_deleted;
	return err < 0 ? err : p.err;
}
