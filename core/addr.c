/*
 * Addresses as values; addr_text.c reads and writes them.
 */
#include "core/addr.h"

#include <errno.h>
#include <strings.h>

#include "core/cleanup.h"

#define V4_OFFSET 12 /* where the IPv4 address is in a mapped one */

static const uint8_t mapped_prefix[V4_OFFSET] = {[10] = 0xff, [11] = 0xff};

static const struct {
	const char *name;
	int af;
	uint8_t offset, len, bits; /* of the address in struct addr */
} families[FAMILY_N] = {
	[FAMILY_IPV4] = {"IPv4", AF_INET, V4_OFFSET, 4, 32},
	[FAMILY_IPV6] = {"IPv6", AF_INET6, 0, 16, 128},
};

static const struct {
	const char *name;
	uint8_t proto;
} protos[] = {
	{"TCP", IPPROTO_TCP},
	{"UDP", IPPROTO_UDP},
	{"SCTP", IPPROTO_SCTP},
};

const char *family_name(enum family family)
{
	return families[family].name;
}

bool family_parse(const char *text, enum family *ret)
{
	for (enum family family = 0; family < FAMILY_N; family++)
		if (strcmp(text, family_name(family)) == 0) {
			*ret = family;
			return true;
		}
	return false;
}

int family_af(enum family family)
{
	return families[family].af;
}

enum family addr_family(const struct addr *a)
{
	return memcmp(a->b, mapped_prefix, V4_OFFSET) == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

struct addr addr_unspecified(enum family family)
{
	return addr_from_bytes(family, (const uint8_t[16]){0});
}

bool addr_is_unspecified(const struct addr *a)
{
	struct addr none = addr_unspecified(addr_family(a));

	return addr_equal(a, &none);
}

bool addr_is_loopback(const struct addr *a)
{
	static const struct addr loopback = {{[15] = 1}};

	if (addr_family(a) == FAMILY_IPV4)
		return a->b[V4_OFFSET] == 127;
	return addr_equal(a, &loopback);
}

bool addr_is_link_local(const struct addr *a)
{
	if (addr_family(a) == FAMILY_IPV4)
		return a->b[V4_OFFSET] == 169 && a->b[V4_OFFSET + 1] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

struct addr addr_from_bytes(enum family family, const void *bytes)
{
	struct addr a;

	memcpy(a.b, mapped_prefix, V4_OFFSET);
	memcpy(a.b + families[family].offset, bytes, families[family].len);
	return a;
}

const uint8_t *addr_bytes(const struct addr *a, size_t *ret_len)
{
	enum family family = addr_family(a);

	*ret_len = families[family].len;
	return a->b + families[family].offset;
}

/* Where the network part ends, in bits of struct addr. */
static unsigned network_bits(const struct cidr *c)
{
	enum family family = addr_family(&c->addr);

	return families[family].offset * 8u + c->prefix_len;
}

/* The bits of byte i that belong to the host. */
static uint8_t host_mask(unsigned bits, size_t i)
{
	if (i * 8 >= bits)
		return 0xff;
	return bits - i * 8 >= 8 ? 0 : (uint8_t)(0xff >> (bits - i * 8));
}

/* ::/80 and parts of it end within the addresses that stand for IPv4. */
static bool ends_in_other_family(const struct cidr *c)
{
	struct addr first, last;

	cidr_range(c, &first, &last);
	return addr_family(&first) != addr_family(&last);
}

int cidr_make(const struct addr *a, uint32_t prefix_len, struct cidr *ret)
{
	struct cidr c = {.addr = *a};
	unsigned bits;

	if (prefix_len > families[addr_family(a)].bits)
		return -EINVAL;
	c.prefix_len = (uint8_t)prefix_len;
	bits = network_bits(&c); /* now: half cleared it may look like an IPv4 address */
	for (size_t i = 0; i < sizeof(c.addr.b); i++)
		c.addr.b[i] &= (uint8_t)~host_mask(bits, i);
	if (ends_in_other_family(&c))
		return -EINVAL;
	*ret = c;
	return 0;
}

bool cidr_contains(const struct cidr *c, const struct addr *a)
{
	unsigned bits = network_bits(c);

	if (addr_family(a) != cidr_family(c))
		return false;
	for (size_t i = 0; i < sizeof(a->b); i++)
		if ((a->b[i] ^ c->addr.b[i]) & (uint8_t)~host_mask(bits, i))
			return false;
	return true;
}

bool cidr_overlaps(const struct cidr *a, const struct cidr *b)
{
	return cidr_contains(a, &b->addr) || cidr_contains(b, &a->addr);
}

bool cidr_equal(const struct cidr *a, const struct cidr *b)
{
	return addr_equal(&a->addr, &b->addr) && a->prefix_len == b->prefix_len;
}

enum family cidr_family(const struct cidr *c)
{
	return addr_family(&c->addr);
}

void cidr_range(const struct cidr *c, struct addr *ret_first, struct addr *ret_last)
{
	struct addr last = c->addr;

	for (size_t i = 0; i < sizeof(last.b); i++)
		last.b[i] |= host_mask(network_bits(c), i);
	*ret_first = c->addr;
	*ret_last = last;
}

socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port,
			   struct sockaddr_storage *ret)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)(void *)ret;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)(void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (addr_family(a) == FAMILY_IPV4) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, a->b + V4_OFFSET, 4);
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	memcpy(&sin6->sin6_addr, a->b, 16);
	return sizeof(*sin6);
}

int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret_addr,
		       uint16_t *ret_port)
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)(const void *)sa;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)(const void *)sa;

	if (sa->sa_family == AF_INET) {
		*ret_addr = addr_from_bytes(FAMILY_IPV4, &sin->sin_addr);
		*ret_port = ntohs(sin->sin_port);
		return 0;
	}
	if (sa->sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	*ret_addr = addr_from_bytes(FAMILY_IPV6, &sin6->sin6_addr);
	*ret_port = ntohs(sin6->sin6_port);
	return 0;
}

const char *proto_name(uint8_t proto)
{
	for (size_t i = 0; i < N_ELEMENTS(protos); i++)
		if (protos[i].proto == proto)
			return protos[i].name;
	return NULL;
}

uint8_t proto_parse(const char *text)
{
	for (size_t i = 0; i < N_ELEMENTS(protos); i++)
		if (strcasecmp(text, protos[i].name) == 0)
			return protos[i].proto;
	return 0;
}
