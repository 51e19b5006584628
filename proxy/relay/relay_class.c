/*
 * The kernel keeps the interface of the SYN in the accepted socket. It can be read as
 * packet information, which is meant for datagrams.
 */
#include "proxy/relay/relay_class.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"

#ifndef IPV6_2292PKTOPTIONS
#define IPV6_2292PKTOPTIONS 6
#endif

struct relay_classifier relay_classifier_of(const struct environment *env,
					    enum family family)
{
	struct relay_classifier c;

	memset(&c, 0, sizeof(c));
	c.family = family;
	c.loopback_index = if_nametoindex("lo");
	if (!environment_has_detector(env, family))
		return c;
	c.detector = env->detector;
	if (c.detector == POD_DETECTOR_CIDR) {
		c.pod_cidr.addr = env->pod_cidr[family].addr;
		c.pod_cidr.prefix_len = env->pod_cidr[family].prefix_len;
	} else {
		memcpy(c.ifname, env->ifname, sizeof(c.ifname));
	}
	return c;
}

bool relay_classifier_equal(const struct relay_classifier *a,
			    const struct relay_classifier *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

unsigned relay_class_ifindex_of(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in_pktinfo info;
		struct in6_pktinfo info6;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			return (unsigned)info.ipi_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			return info6.ipi6_ifindex;
		}
	}
	return 0;
}

unsigned relay_class_ifindex(int fd, enum family family)
{
	_Alignas(
		struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 64];
	bool is_ipv4 = family == FAMILY_IPV4;
	int level = is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6, one = 1;
	socklen_t len = sizeof(control);

	if (setsockopt(fd, level, is_ipv4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &one,
		       sizeof(one)) == -1 ||
	    getsockopt(fd, level, is_ipv4 ? IP_PKTOPTIONS : IPV6_2292PKTOPTIONS, control,
		       &len) == -1)
		return 0;
	return relay_class_ifindex_of(
		&(struct msghdr){.msg_control = control, .msg_controllen = len});
}

/* IPv6 reports the interface that has the address, and not lo, for the host itself. */
static bool is_own_address(const struct addr *a)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(a, 0, &sa);
	_cleanup_(closep) int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (const struct sockaddr *)&sa, len) == 0;
}

static bool is_pod(const struct relay_classifier *c, unsigned index,
		   const struct addr *peer)
{
	char name[IF_NAMESIZE];

	switch (c->detector) {
	case POD_DETECTOR_NONE:
		return false;
	case POD_DETECTOR_CIDR:
		return cidr_contains(&c->pod_cidr, peer);
	case POD_DETECTOR_BRIDGE:
		return index && if_indextoname(index, name) &&
		       strcmp(name, c->ifname) == 0;
	case POD_DETECTOR_PREFIX:
		return index && if_indextoname(index, name) &&
		       strncmp(name, c->ifname, strlen(c->ifname)) == 0;
	}
	return false;
}

enum client_class relay_classify(const struct relay_classifier *c, unsigned ifindex,
				 const struct addr *peer)
{
	if (ifindex && ifindex == c->loopback_index)
		return CLIENT_NODE;
	if (is_pod(c, ifindex, peer))
		return CLIENT_POD;
	return is_own_address(peer) ? CLIENT_NODE : CLIENT_EXTERNAL;
}
