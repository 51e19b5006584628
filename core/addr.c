/*
 * Parsing follows Go's pre-1.17 net.ParseIP (which kube-proxy keeps alive as
 * ParseIPSloppy): any number of leading zeros, decimal.  Formatting is RFC
 * 5952 and done by hand: every endpoint is formatted to be sorted.
 */
#include "core/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
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

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Digits of this base at *p, at most max; moves *p behind them. */
static bool parse_number(const char **p, unsigned base, uint32_t max, uint32_t *ret)
{
	const char *start = *p;
	uint32_t n = 0;

	for (; (unsigned)digit_value(**p) < base; (*p)++) {
		n = n * base + (unsigned)digit_value(**p);
		if (n > max)
			return false;
	}
	*ret = n;
	return *p > start;
}

/* All of it is one decimal number. */
static bool parse_decimal(const char *p, uint32_t max, uint32_t *ret)
{
	return parse_number(&p, 10, max, ret) && !*p;
}

static int parse_ipv4(const char *p, uint8_t ret[4])
{
	uint8_t bytes[4];

	for (size_t i = 0; i < 4; i++) {
		uint32_t n;

		if (i > 0 && *p++ != '.')
			return -EINVAL;
		if (!parse_number(&p, 10, 255, &n))
			return -EINVAL;
		bytes[i] = (uint8_t)n;
	}
	if (*p)
		return -EINVAL;
	memcpy(ret, bytes, 4);
	return 0;
}

/* The dotted end of an IPv6 address, at byte *at of it. */
static int parse_dotted_end(const char *p, uint8_t b[16], size_t *at)
{
	if (*at > V4_OFFSET || parse_ipv4(p, b + *at) < 0)
		return -EINVAL;
	*at += 4;
	return 0;
}

/*
 * Groups up to the end or to a "::", whose place is left in *ret_gap; *at is
 * how many bytes are there.
 */
static int parse_groups(const char *p, uint8_t b[16], size_t *at, size_t *ret_gap)
{
	while (*p) {
		const char *group;
		uint32_t n;

		if (p[0] == ':' && p[1] == ':') {
			if (*ret_gap != SIZE_MAX)
				return -EINVAL;
			*ret_gap = *at;
			p += 2;
			continue;
		}
		/* One colon stands between two groups, and nowhere else. */
		if (*at > 0 && *ret_gap != *at && *p++ != ':')
			return -EINVAL;
		group = p;
		if (*at >= 16)
			return -EINVAL;
		if (strchr(group, '.') && !strchr(group, ':'))
			return parse_dotted_end(group, b, at);
		if (!parse_number(&p, 16, 0xffff, &n))
			return -EINVAL;
		b[(*at)++] = (uint8_t)(n >> 8);
		b[(*at)++] = (uint8_t)n;
	}
	return 0;
}

static int parse_ipv6(const char *text, uint8_t ret[16])
{
	uint8_t b[16] = {0};
	size_t at = 0, gap = SIZE_MAX;

	if (parse_groups(text, b, &at, &gap) < 0)
		return -EINVAL;
	if (gap == SIZE_MAX ? at != 16 : at >= 16)
		return -EINVAL;
	if (gap != SIZE_MAX) {
		memmove(b + 16 - (at - gap), b + gap, at - gap);
		memset(b + gap, 0, 16 - at);
	}
	memcpy(ret, b, 16);
	return 0;
}

int addr_parse(const char *text, struct addr *ret)
{
	uint8_t bytes[16];
	enum family family = strchr(text, ':') ? FAMILY_IPV6 : FAMILY_IPV4;
	int err =
		family == FAMILY_IPV6 ? parse_ipv6(text, bytes) : parse_ipv4(text, bytes);

	if (err < 0)
		return err;
	*ret = addr_from_bytes(family, bytes);
	return 0;
}

static char *format_decimal(char *p, unsigned n)
{
	char digits[5];
	size_t len = 0;

	do {
		digits[len++] = (char)('0' + n % 10);
	} while (n /= 10);
	while (len > 0)
		*p++ = digits[--len];
	return p;
}

static char *format_hex(char *p, unsigned n)
{
	bool is_leading = true;

	for (int shift = 12; shift >= 0; shift -= 4) {
		unsigned digit = n >> shift & 15;

		is_leading = is_leading && digit == 0 && shift > 0;
		if (!is_leading)
			*p++ = "0123456789abcdef"[digit];
	}
	return p;
}

static char *format_ipv4(char *p, const uint8_t b[4])
{
	for (size_t i = 0; i < 4; i++) {
		if (i > 0)
			*p++ = '.';
		p = format_decimal(p, b[i]);
	}
	return p;
}

/* The first longest run of at least two zero groups; its length, or 0. */
static size_t longest_gap(const uint16_t groups[8], size_t *ret_start)
{
	size_t best = 1, run = 0;

	*ret_start = 8;
	for (size_t i = 0; i < 8; i++) {
		run = groups[i] ? 0 : run + 1;
		if (run <= best)
			continue;
		best = run;
		*ret_start = i + 1 - run;
	}
	return *ret_start < 8 ? best : 0;
}

static char *format_ipv6(char *p, const uint8_t b[16])
{
	uint16_t groups[8];
	size_t gap_start, gap_len;

	for (size_t i = 0; i < 8; i++)
		groups[i] = (uint16_t)(b[2 * i] << 8 | b[2 * i + 1]);
	gap_len = longest_gap(groups, &gap_start);
	for (size_t i = 0; i < 8; i++) {
		if (i == gap_start) {
			*p++ = ':';
			*p++ = ':';
			i += gap_len;
			if (i == 8)
				break;
		} else if (i > 0) {
			*p++ = ':';
		}
		p = format_hex(p, groups[i]);
	}
	return p;
}

/* Without the NUL; answers the end. */
static char *format(char *p, const struct addr *a)
{
	return addr_family(a) == FAMILY_IPV4 ? format_ipv4(p, a->b + V4_OFFSET)
					     : format_ipv6(p, a->b);
}

const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
	*format(buf, a) = '\0';
	return buf;
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

static void set_prefix(struct cidr *c, uint32_t prefix_len)
{
	unsigned bits;

	c->prefix_len = (uint8_t)prefix_len;
	bits = network_bits(c); /* now: half cleared it may look like an IPv4 address */
	for (size_t i = 0; i < sizeof(c->addr.b); i++)
		c->addr.b[i] &= (uint8_t)~host_mask(bits, i);
}

/* Copies what is between the blanks; false when that doesn't fit. */
static bool trim(const char *text, char *buf, size_t len)
{
	static const char blanks[] = " \t\n\v\f\r";
	size_t n;

	text += strspn(text, blanks);
	n = strlen(text);
	while (n > 0 && strchr(blanks, text[n - 1]))
		n--;
	if (n >= len)
		return false;
	memcpy(buf, text, n);
	buf[n] = '\0';
	return true;
}

/* ::/80 and parts of it end within the addresses that stand for IPv4. */
static bool ends_in_other_family(const struct cidr *c)
{
	struct addr first, last;

	cidr_range(c, &first, &last);
	return addr_family(&first) != addr_family(&last);
}

int cidr_parse(const char *text, struct cidr *ret)
{
	char buf[128], *slash;
	struct cidr c = {0};
	uint32_t prefix_len, mapped_bits = 0;

	if (!trim(text, buf, sizeof(buf)) || !(slash = strchr(buf, '/')))
		return -EINVAL;
	*slash = '\0';
	if (addr_parse(buf, &c.addr) < 0)
		return -EINVAL;
	/* "::ffff:10.0.0.0/104" is 10.0.0.0/8 */
	if (addr_family(&c.addr) == FAMILY_IPV4 && strchr(buf, ':'))
		mapped_bits = V4_OFFSET * 8;
	if (!parse_decimal(slash + 1, mapped_bits + families[addr_family(&c.addr)].bits,
			   &prefix_len) ||
	    prefix_len < mapped_bits)
		return -EINVAL;
	set_prefix(&c, prefix_len - mapped_bits);
	if (ends_in_other_family(&c))
		return -EINVAL;
	*ret = c;
	return 0;
}

const char *cidr_format(const struct cidr *c, char buf[static CIDR_TEXT_LEN])
{
	char *p = format(buf, &c->addr);

	*p++ = '/';
	*format_decimal(p, c->prefix_len) = '\0';
	return buf;
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

const char *addr_port_format(const struct addr *a, uint16_t port,
			     char buf[static ADDR_PORT_TEXT_LEN])
{
	bool is_ipv6 = addr_family(a) == FAMILY_IPV6;
	char *p = buf;

	if (is_ipv6)
		*p++ = '[';
	p = format(p, a);
	if (is_ipv6)
		*p++ = ']';
	*p++ = ':';
	*format_decimal(p, port) = '\0';
	return buf;
}

int addr_port_parse(const char *text, struct addr *ret_addr, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	char host[128];
	struct addr a;
	uint32_t port;

	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[') {
		if (host[len - 1] != ']')
			return -EINVAL;
		host[len - 1] = '\0';
		memmove(host, host + 1, len - 1);
	} else if (strchr(host, ':')) {
		return -EINVAL; /* "::1:80" could be anything */
	}
	if (addr_parse(host, &a) < 0 || !parse_decimal(colon + 1, UINT16_MAX, &port) ||
	    port == 0)
		return -EINVAL;
	*ret_addr = a;
	*ret_port = (uint16_t)port;
	return 0;
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
