/*
 * Two sockets: one listens to address notifications from the start on, the
 * other one is made for each dump.  What a notification says is never looked
 * at; it only means "read again", so an overrun (ENOBUFS) is just another one.
 */
#include "proxy/host/host_addresses.h"

#include <errno.h>
#include <ev.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"

#define DUMP_BUFFER_LEN 16384 /* the kernel fits its pieces to it (8 KiB at least) */
#define MAX_DUMPS	5     /* the kernel says when addresses changed under a dump */

struct host_addresses {
	struct addr *addrs;
	size_t n;
	struct mnl_socket *events;
	struct ev_loop *loop; /* NULL: not started */
	ev_io io;
	void (*changed)(void *data);
	void *data;
};

struct collected {
	struct addr *addrs;
	size_t n, cap;
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

/* The attributes of one address, by type; those of a wrong size are left NULL. */
struct attributes {
	size_t addr_len;
	const struct nlattr *address, *local, *flags;
};

static int collect_attribute(const struct nlattr *attr, void *data)
{
	struct attributes *found = data;
	size_t len = mnl_attr_get_payload_len(attr);

	if (mnl_attr_get_type(attr) == IFA_ADDRESS && len == found->addr_len)
		found->address = attr;
	if (mnl_attr_get_type(attr) == IFA_LOCAL && len == found->addr_len)
		found->local = attr;
	if (mnl_attr_get_type(attr) == IFA_FLAGS && len == sizeof(uint32_t))
		found->flags = attr;
	return MNL_CB_OK;
}

/* An optimistic address is tentative, and may be used nevertheless. */
static bool is_unusable(uint32_t flags)
{
	if (flags & IFA_F_DADFAILED)
		return true;
	return (flags & IFA_F_TENTATIVE) && !(flags & IFA_F_OPTIMISTIC);
}

static int collect_address(const struct nlmsghdr *nlh, void *data)
{
	struct collected *all = data;
	struct attributes found = {0};
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	enum family family;
	struct addr addr;

	if (nlh->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa))
		return MNL_CB_OK;
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return MNL_CB_OK;
	family = ifa->ifa_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
	found.addr_len = family == FAMILY_IPV4 ? 4 : 16;
	(void)mnl_attr_parse(nlh, sizeof(*ifa), collect_attribute, &found);
	/* With a peer IFA_ADDRESS is the peer's, and IFA_LOCAL ours. */
	if (!found.local)
		found.local = found.address;
	if (!found.local ||
	    is_unusable(found.flags ? mnl_attr_get_u32(found.flags) : ifa->ifa_flags))
		return MNL_CB_OK;

	addr = addr_from_bytes(family, mnl_attr_get_payload(found.local));
	if (family == FAMILY_IPV6 && addr_is_link_local(&addr))
		return MNL_CB_OK;
	all->addrs = xgrow(all->addrs, all->n, &all->cap, sizeof(*all->addrs));
	all->addrs[all->n++] = addr;
	return MNL_CB_OK;
}

/* One dump; -EINTR when addresses changed while it ran. */
static int dump(struct collected *all)
{
	_cleanup_(socket_closep) struct mnl_socket *nl = NULL;
	_Alignas(struct nlmsghdr) char buf[DUMP_BUFFER_LEN];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtgenmsg *gen;
	ssize_t len;
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
	do {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len == -1)
			return -errno;
		err = mnl_cb_run(buf, (size_t)len, 1, mnl_socket_get_portid(nl),
				 collect_address, all);
		if (err == -1)
			return -errno;
	} while (err == MNL_CB_OK);
	return 0;
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
	struct collected all = {0};
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

static void on_notification(struct ev_loop *loop, ev_io *io, int revents)
{
	struct host_addresses *h = container_of(io, struct host_addresses, io);
	bool changed = false;
	int err;

	(void)loop;
	(void)revents;
	drain(h->events);
	err = read_again(h, &changed);
	if (err < 0)
		log_warn("host addresses: can't read them, keeping the old ones: %s",
			 strerror(-err));
	if (changed)
		h->changed(h->data);
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

void host_addresses_free(struct host_addresses *h)
{
	if (!h)
		return;
	host_addresses_stop(h);
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
}

void host_addresses_stop(struct host_addresses *h)
{
	if (h->loop)
		ev_io_stop(h->loop, &h->io);
	h->loop = NULL;
}

const struct addr *host_addresses_list(const struct host_addresses *h, size_t *ret_n)
{
	*ret_n = h->n;
	return h->addrs;
}
