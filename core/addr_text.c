/*
 * Addresses as text.  Parsing follows Go's net.ParseIP before 1.17 (which
 * kube-proxy keeps alive as ParseIPSloppy): any number of leading zeros,
 * decimal.  Formatting is RFC 5952 and done by hand: every endpoint is
 * formatted to be sorted.
 */
#include <errno.h>
#include <string.h>

#include "core/addr.h"

#define MAPPED_LEN 12 /* bytes before the IPv4 address in a mapped one */

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
	if (*at > MAPPED_LEN || parse_ipv4(p, b + *at) < 0)
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
	return addr_family(a) == FAMILY_IPV4 ? format_ipv4(p, a->b + MAPPED_LEN)
					     : format_ipv6(p, a->b);
}

const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
	*format(buf, a) = '\0';
	return buf;
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

int cidr_parse(const char *text, struct cidr *ret)
{
	char buf[128], *slash;
	uint32_t prefix_len, mapped_bits = 0;
	struct addr a;

	if (!trim(text, buf, sizeof(buf)) || !(slash = strchr(buf, '/')))
		return -EINVAL;
	*slash = '\0';
	if (addr_parse(buf, &a) < 0 || !parse_decimal(slash + 1, 128, &prefix_len))
		return -EINVAL;
	/* "::ffff:10.0.0.0/104" is 10.0.0.0/8 */
	if (addr_family(&a) == FAMILY_IPV4 && strchr(buf, ':'))
		mapped_bits = MAPPED_LEN * 8;
	if (prefix_len < mapped_bits)
		return -EINVAL;
	return cidr_make(&a, prefix_len - mapped_bits, ret);
}

const char *cidr_format(const struct cidr *c, char buf[static CIDR_TEXT_LEN])
{
	char *p = format(buf, &c->addr);

	*p++ = '/';
	*format_decimal(p, c->prefix_len) = '\0';
	return buf;
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
