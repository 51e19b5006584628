/*
 * Two sockets: one receives address notifications from the start on, the other
 * one is opened for each dump.  The content of a notification is not used; it
 * only means "read again", so an overrun (ENOBUFS) is just another one.
 */
#include "proxy/host/host_addresses.h"

#include <errno.h>
#include <ev.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/netlink.h"

#define DUMP_BUFFER_LEN 16384 /* the kernel fits its pieces to it (8 KiB at least) */
#define MAX_DUMPS	5     /* the kernel reports changes during a dump */
#define RETRY_SEC	1.0   /* after a failure */

struct host_addresses {
	struct addr *addrs;
	size_t n;
	struct mnl_socket *events;
	struct ev_loop *loop; /* NULL: not started */
	ev_io io;
	ev_timer retry;
	void (*changed)(void *data);
	void *data;
};

struct collected {
	struct addr *addrs;
	size_t n, cap;
	uint32_t ipvs_index; /* of the interface that is left out, or 0 */
};

static void socket_closep(struct mnl_socket **nl)
{
	if (*nl)
		(void)mnl_socket_close(*nl);
}

static int socket_open(unsigned int groups, int flags, struct mnl_socket **ret)
{
	_cleanup_(socket_closep) struct mnl_socket *nl = NULL;

	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) == -1)
		return -errno;
	*ret = take_ptr(nl);
	return 0;
}

/* An optimistic address is tentative, and may be used nevertheless. */
static bool is_unusable(uint32_t flags)
{
	if (flags & IFA_F_DADFAILED)
		return true;
	return (flags & IFA_F_TENTATIVE) && !(flags & IFA_F_OPTIMISTIC);
}

static uint32_t flags_of(const struct nlmsghdr *nlh, const struct ifaddrmsg *ifa)
{
	const struct nlattr *attr = netlink_attr(nlh, sizeof(*ifa), IFA_FLAGS);

	return netlink_has_len(attr, sizeof(uint32_t)) ? mnl_attr_get_u32(attr)
						       : ifa->ifa_flags;
}

static int collect_address(void *data, const struct nlmsghdr *nlh)
{
	struct collected *all = data;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *local;
	enum family family;
	struct addr addr;

	if (nlh->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa))
		return 0;
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return 0;
	family = ifa->ifa_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
	/* With a peer IFA_ADDRESS is the peer's, and IFA_LOCAL ours. */
	local = netlink_attr(nlh, sizeof(*ifa), IFA_LOCAL);
	if (!local)
		local = netlink_attr(nlh, sizeof(*ifa), IFA_ADDRESS);
	if (!netlink_has_len(local, family == FAMILY_IPV4 ? 4 : 16) ||
	    is_unusable(flags_of(nlh, ifa)) || ifa->ifa_index == all->ipvs_index)
		return 0;

	addr = addr_from_bytes(family, mnl_attr_get_payload(local));
	if (family == FAMILY_IPV6 && addr_is_link_local(&addr))
		return 0;
	all->addrs = xgrow(all->addrs, all->n, &all->cap, sizeof(*all->addrs));
	all->addrs[all->n++] = addr;
	return 0;
}

/* One dump; -EINTR when addresses changed while it ran. */
static int dump(struct collected *all)
{
	_cleanup_(socket_closep) struct mnl_socket *nl = NULL;
	_Alignas(struct nlmsghdr) char buf[DUMP_BUFFER_LEN];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct netlink_reader reader = {
		.seq = 1,
		.message = collect_address,
		.data = all,
	};
	struct rtgenmsg *gen;
	int err;

	err = socket_open(0, 0, &nl);
	if (err < 0)
		return err;
	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1;
	gen = mnl_nlmsg_put_extra_header(nlh, sizeof(*gen));
	gen->rtgen_family = AF_UNSPEC;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		return -errno;
	err = netlink_reader_run(&reader, mnl_socket_get_fd(nl), buf, sizeof(buf));
	return !err && reader.is_interrupted ? -EINTR : err;
}

static int compare(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static void sort_unique(struct collected *all)
{
	size_t n = 0;

	if (all->n > 0)
		qsort(all->addrs, all->n, sizeof(*all->addrs), compare);
	for (size_t i = 0; i < all->n; i++) {
		if (n == 0 || !addr_equal(&all->addrs[n - 1], &all->addrs[i]))
			all->addrs[n++] = all->addrs[i];
	}
	all->n = n;
}

static bool is_list(const struct host_addresses *h, const struct collected *all)
{
	if (h->n != all->n)
		return false;
	return all->n == 0 ||
	       memcmp(h->addrs, all->addrs, all->n * sizeof(*h->addrs)) == 0;
}

static int read_again(struct host_addresses *h, bool *ret_changed)
{
	/* kube-proxy in ipvs mode puts the addresses of all Services on it. */
	struct collected all = {.ipvs_index = if_nametoindex("kube-ipvs0")};
	int err = -EINTR;

	for (int i = 0; i < MAX_DUMPS && err == -EINTR; i++) {
		all.n = 0;
		err = dump(&all);
	}
	if (err < 0) {
		free(all.addrs);
		return err;
	}
	sort_unique(&all);
	*ret_changed = !is_list(h, &all);
	free(h->addrs);
	h->addrs = all.addrs;
	h->n = all.n;
	return 0;
}

static void drain(struct mnl_socket *nl)
{
	char buf[4096];
	ssize_t len;

	do {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	} while (len > 0 ||
		 (len == -1 && (errno == ENOBUFS || errno == EINTR || errno == ENOSPC)));
}

static void read_changes(struct host_addresses *h)
{
	bool changed = false;
	int err = read_again(h, &changed);

	if (err < 0) {
		if (!ev_is_active(&h->retry))
			log_warn("host addresses: cannot read them: %s; retrying, the "
				 "last known ones stay in effect",
				 strerror(-err));
		ev_timer_again(h->loop, &h->retry);
	} else {
		ev_timer_stop(h->loop, &h->retry);
	}
	if (changed)
		h->changed(h->data);
}

static void on_notification(struct ev_loop *loop, ev_io *io, int revents)
{
	struct host_addresses *h = container_of(io, struct host_addresses, io);

	drain(h->events);
	read_changes(h);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	read_changes(container_of(timer, struct host_addresses, retry));
}

int host_addresses_new(struct host_addresses **ret)
{
	struct mnl_socket *events;
	struct host_addresses *h;
	int err;

	err = socket_open(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, SOCK_NONBLOCK,
			  &events);
	if (err < 0)
		return err;
	h = xcalloc(1, sizeof(*h));
	h->events = events;
	*ret = h;
	return 0;
}

static void stop(struct host_addresses *h)
{
	if (!h->loop)
		return;
	ev_io_stop(h->loop, &h->io);
	ev_timer_stop(h->loop, &h->retry);
	h->loop = NULL;
}

void host_addresses_free(struct host_addresses *h)
{
	if (!h)
		return;
	stop(h);
	(void)mnl_socket_close(h->events);
	free(h->addrs);
	free(h);
}

int host_addresses_read(struct host_addresses *h)
{
	bool changed;

	return read_again(h, &changed);
}

void host_addresses_start(struct host_addresses *h, struct ev_loop *loop,
			  void (*changed)(void *data), void *data)
{
	h->loop = loop;
	h->changed = changed;
	h->data = data;
	ev_io_init(&h->io, on_notification, mnl_socket_get_fd(h->events), EV_READ);
	ev_io_start(loop, &h->io);
	ev_timer_init(&h->retry, on_retry, 0., RETRY_SEC);
}

const struct addr *host_addresses_list(const struct host_addresses *h, size_t *ret_n)
{
	*ret_n = h->n;
	return h->addrs;
}
