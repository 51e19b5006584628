#include "proxy/relay/relay_routes.h"

#include <errno.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/netlink.h"

#define BUFFER_LEN 16384
#define METRIC	   4096 /* the kernel's own local routes have 0 */
#define TIMEOUT_MS 2000

struct route {
	struct cidr net; /* the key */
	unsigned refs;
	bool is_there;	/* as far as we know */
	bool is_stale;	/* it has another source address: replaced when it is wanted */
	bool is_listed; /* by a comparison */
};

struct relay_routes {
	int fd;		  /* requests */
	int events;	  /* changes */
	uint32_t port_id; /* of requests */
	uint32_t seq;
	struct hash routes;
	struct addr source[FAMILY_N];
	bool has_source[FAMILY_N];
	unsigned lo;
	bool is_own; /* see relay_routes_own() */
};

static uint64_t net_hash(const void *key)
{
	const struct cidr *net = key;

	return hash_mix(hash_bytes(&net->addr, sizeof(net->addr)), net->prefix_len);
}

static bool net_equal(const void *item, const void *key)
{
	return cidr_equal(&((const struct route *)item)->net, key);
}

static const struct hash_ops route_ops = {.hash = net_hash, .equal = net_equal};

static int open_socket(unsigned groups, int flags, uint32_t *ret_port_id)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK, .nl_groups = groups};
	struct timeval timeout = {.tv_sec = TIMEOUT_MS / 1000};
	socklen_t len = sizeof(sa);
	_cleanup_(closep) int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
	int one = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == -1)
		return -errno;
	/* the kernel then dumps only what the request describes; older ones dump all */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	if (ret_port_id)
		*ret_port_id = sa.nl_pid;
	return take_fd(fd);
}

static struct rtmsg *put_route(struct nlmsghdr *nlh, uint32_t seq, uint16_t type,
			       uint16_t flags, enum family family, unsigned prefix_len)
{
	struct rtmsg *rtm;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = seq;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = (uint8_t)family_af(family);
	rtm->rtm_dst_len = (uint8_t)prefix_len;
	rtm->rtm_table = RT_TABLE_LOCAL;
	rtm->rtm_protocol = RELAY_ROUTE_PROTOCOL;
	return rtm;
}

static void put_addr(struct nlmsghdr *nlh, uint16_t type, const struct addr *a)
{
	size_t len;
	const uint8_t *bytes = addr_bytes(a, &len);

	mnl_attr_put(nlh, type, len, bytes);
}

static int ignore(void *data, const struct nlmsghdr *message)
{
	return 0;
}

/* Adds or deletes one. */
static int change(struct relay_routes *r, const struct cidr *net, bool is_added)
{
	_Alignas(struct nlmsghdr) char buf[BUFFER_LEN];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	enum family family = cidr_family(net);
	struct netlink_reader reader = {.seq = ++r->seq, .message = ignore};
	struct rtmsg *rtm =
		put_route(nlh, r->seq, is_added ? RTM_NEWROUTE : RTM_DELROUTE,
			  (uint16_t)(NLM_F_ACK |
				     (is_added ? NLM_F_CREATE | NLM_F_REPLACE : 0)),
			  family, net->prefix_len);

	rtm->rtm_type = RTN_LOCAL;
	rtm->rtm_scope = RT_SCOPE_HOST;
	put_addr(nlh, RTA_DST, &net->addr);
	mnl_attr_put_u32(nlh, RTA_OIF, r->lo);
	mnl_attr_put_u32(nlh, RTA_PRIORITY, METRIC);
	if (is_added && r->has_source[family])
		put_addr(nlh, RTA_PREFSRC, &r->source[family]);
	if (send(r->fd, nlh, nlh->nlmsg_len, 0) == -1)
		return -errno;
	return netlink_reader_run(&reader, r->fd, buf, sizeof(buf));
}

static bool parse(const struct nlmsghdr *message, struct cidr *ret)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(message);
	const struct nlattr *dst;
	enum family family;
	struct addr addr;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*rtm) ||
	    rtm->rtm_protocol != RELAY_ROUTE_PROTOCOL || rtm->rtm_type != RTN_LOCAL ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return false;
	family = rtm->rtm_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
	dst = netlink_attr(message, sizeof(*rtm), RTA_DST);
	if (!netlink_has_len(dst, family == FAMILY_IPV4 ? 4 : 16))
		return false;
	addr = addr_from_bytes(family, mnl_attr_get_payload(dst));
	return cidr_make(&addr, rtm->rtm_dst_len, ret) == 0;
}

static struct route *find(struct relay_routes *r, const struct cidr *net)
{
	struct route *route = hash_find(&r->routes, net);

	if (route)
		return route;
	route = xcalloc(1, sizeof(*route));
	route->net = *net;
	(void)hash_put(&r->routes, route);
	return route;
}

static int note_route(void *data, const struct nlmsghdr *message)
{
	struct cidr net;

	if (message->nlmsg_type == RTM_NEWROUTE && parse(message, &net))
		find(data, &net)->is_there = true;
	return 0;
}

static int dump(struct relay_routes *r, enum family family,
		int (*message)(void *data, const struct nlmsghdr *message))
{
	_Alignas(struct nlmsghdr) char buf[BUFFER_LEN];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct netlink_reader reader = {.seq = ++r->seq, .message = message, .data = r};
	int err;

	(void)put_route(nlh, r->seq, RTM_GETROUTE, NLM_F_DUMP, family, 0);
	if (send(r->fd, nlh, nlh->nlmsg_len, 0) == -1)
		return -errno;
	err = netlink_reader_run(&reader, r->fd, buf, sizeof(buf));
	/* no local route, not even of a loopback interface that is up; or no such family */
	return err == -ENOENT || err == -EOPNOTSUPP || err == -EAFNOSUPPORT ? 0 : err;
}

/* The address that this host uses on its way out. */
static bool source_of_default_route(enum family family, struct addr *ret)
{
	static const char *const outside[FAMILY_N] = {"192.0.2.1", "2001:db8::1"};
	_cleanup_(closep) int fd =
		socket(family_af(family), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage sa;
	struct addr target;
	uint16_t port;
	socklen_t len;

	(void)addr_parse(outside[family], &target); /* cannot fail */
	len = addr_to_sockaddr(&target, 9, &sa);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, len) == -1)
		return false;
	len = sizeof(sa);
	return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
	       addr_from_sockaddr((const struct sockaddr *)&sa, ret, &port) == 0 &&
	       !addr_is_loopback(ret) && !addr_is_link_local(ret);
}

/* Without a default route: the first address that is not of this host alone. */
static bool first_address(enum family family, struct addr *ret)
{
	struct ifaddrs *all;
	bool is_found = false;
	uint16_t port;

	if (getifaddrs(&all) == -1)
		return false;
	for (const struct ifaddrs *i = all; i && !is_found; i = i->ifa_next)
		is_found = i->ifa_addr && i->ifa_addr->sa_family == family_af(family) &&
			   addr_from_sockaddr(i->ifa_addr, ret, &port) == 0 &&
			   !addr_is_loopback(ret) && !addr_is_link_local(ret);
	freeifaddrs(all);
	return is_found;
}

int relay_routes_restart(struct relay_routes *r)
{
	struct route *route;
	int err = 0;

	for (size_t i = 0; (route = hash_next(&r->routes, &i));) {
		route->refs = 0;
		route->is_there = false;
	}
	for (enum family family = 0; family < FAMILY_N && !err; family++) {
		struct addr source;
		bool has_source = source_of_default_route(family, &source) ||
				  first_address(family, &source);

		err = dump(r, family, note_route);
		if (has_source != r->has_source[family] ||
		    (has_source && !addr_equal(&source, &r->source[family])))
			for (size_t i = 0; (route = hash_next(&r->routes, &i));)
				if (cidr_family(&route->net) == family)
					route->is_stale = true;
		r->has_source[family] = has_source;
		if (has_source)
			r->source[family] = source;
	}
	return err == -EAFNOSUPPORT || err == -EOPNOTSUPP ? 0 : err;
}

int relay_routes_open(struct relay_routes **ret)
{
	struct relay_routes *r = xcalloc(1, sizeof(*r));
	int err = 0;

	hash_init(&r->routes, &route_ops);
	r->lo = if_nametoindex("lo");
	r->events = -1;
	r->fd = open_socket(0, 0, &r->port_id);
	if (r->fd < 0)
		err = r->fd;
	if (!err)
		err = relay_routes_restart(r);
	if (!err) {
		r->events = open_socket(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
					SOCK_NONBLOCK, NULL);
		err = r->events < 0 ? r->events : 0;
	}
	if (err) {
		relay_routes_close(r);
		return err;
	}
	*ret = r;
	return 0;
}

/* A route that does not exist: without the right the kernel does not look for it. */
bool relay_routes_is_permitted(struct relay_routes *r)
{
	struct cidr net;

	(void)cidr_parse("192.0.2.1/32", &net); /* cannot fail */
	return change(r, &net, false) != -EPERM;
}

static void forget(struct relay_routes *r, struct route *route)
{
	(void)hash_del(&r->routes, &route->net);
	free(route);
}

void relay_routes_prune(struct relay_routes *r)
{
	struct route *route;

	for (size_t i = 0; (route = hash_next(&r->routes, &i));) {
		if (route->refs)
			continue;
		if (route->is_there)
			(void)change(r, &route->net,
				     false); /* the next full one tries again */
		forget(r, route);
	}
}

void relay_routes_own(struct relay_routes *r, bool is_own)
{
	r->is_own = is_own;
}

void relay_routes_close(struct relay_routes *r)
{
	struct route *route;

	if (!r)
		return;
	for (size_t i = 0; (route = hash_next(&r->routes, &i));)
		route->refs = 0;
	if (r->fd >= 0 && r->is_own)
		relay_routes_prune(r);
	for (size_t i = 0; (route = hash_next(&r->routes, &i));)
		free(route);
	hash_fini(&r->routes);
	closep(&r->fd);
	closep(&r->events);
	free(r);
}

int relay_routes_get(struct relay_routes *r, const struct cidr *net)
{
	struct route *route = find(r, net);
	int err = 0;

	route->refs++;
	if (!route->is_there || route->is_stale)
		err = change(r, net, true);
	if (err) {
		relay_routes_put(r, net);
		return err;
	}
	route->is_there = true;
	route->is_stale = false;
	return 0;
}

void relay_routes_put(struct relay_routes *r, const struct cidr *net)
{
	struct route *route = hash_find(&r->routes, net);

	if (!route || !route->refs || --route->refs)
		return;
	if (route->is_there)
		(void)change(r, net, false); /* the next full change set tries again */
	forget(r, route);
}

int relay_routes_fd(const struct relay_routes *r)
{
	return r->events;
}

/* Is it the removal of a wanted route by another process, or by the kernel? */
static bool is_loss(const struct relay_routes *r, const struct nlmsghdr *message)
{
	const struct route *route;
	struct cidr net;

	if (message->nlmsg_type != RTM_DELROUTE || message->nlmsg_pid == r->port_id ||
	    !parse(message, &net))
		return false;
	route = hash_find(&r->routes, &net);
	return route && route->refs;
}

bool relay_routes_check(struct relay_routes *r)
{
	_Alignas(struct nlmsghdr) char buf[BUFFER_LEN];
	bool has_lost = false;
	ssize_t len;

	while ((len = netlink_receive(r->events, buf, sizeof(buf), 0)) > 0 ||
	       len == -ENOBUFS) {
		const struct nlmsghdr *message = (const void *)buf;
		int left = len > 0 ? (int)len : 0;

		has_lost |= len == -ENOBUFS;
		for (; netlink_is_message(message, left);
		     message = mnl_nlmsg_next(message, &left))
			has_lost |= is_loss(r, message);
	}
	return has_lost;
}

static int list_route(void *data, const struct nlmsghdr *message)
{
	struct cidr net;

	if (message->nlmsg_type == RTM_NEWROUTE && parse(message, &net))
		find(data, &net)->is_listed = true;
	return 0;
}

int relay_routes_compare(struct relay_routes *r,
			 void (*fn)(void *data, char sign, const struct cidr *net),
			 void *data)
{
	struct route *route;
	int err = 0;

	for (size_t i = 0; (route = hash_next(&r->routes, &i));)
		route->is_listed = false;
	for (enum family family = 0; family < FAMILY_N && !err; family++)
		err = dump(r, family, list_route);
	for (size_t i = 0; !err && (route = hash_next(&r->routes, &i));) {
		if (route->refs && !route->is_listed)
			fn(data, '-', &route->net);
		if (!route->refs && route->is_listed) {
			route->is_there = true;
			fn(data, '+', &route->net);
		}
	}
	return err;
}

size_t relay_routes_n(const struct relay_routes *r)
{
	return r->routes.n;
}

int relay_routes_cleanup(size_t *ret_n)
{
	struct relay_routes *r;
	int err = relay_routes_open(&r);

	if (err)
		return err;
	*ret_n = r->routes.n;
	relay_routes_own(r, true);
	relay_routes_close(r);
	return 0;
}
