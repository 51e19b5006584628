/*
 * Addresses as text.  Parsing follows Go's net.ParseIP before 1.17 (which
 * kube-proxy keeps as ParseIPSloppy): numbers may have any number of leading
 * zeros, and are decimal in IPv4.  Formatting follows RFC 5952.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/addr.h"

#define MAPPED_BITS 96 /* before the IPv4 address in a mapped one */

/* Copies the text without leading zeros of its numbers; false if it does not fit. */
static bool strip_zeros(const char *text, char *buf, size_t len)
{
	bool is_in_number = false;
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '0' && !is_in_number && isxdigit((unsigned char)text[1]))
			continue;
		is_in_number = isxdigit((unsigned char)*text);
		if (n + 1 >= len)
			return false;
		buf[n++] = *text;
	}
	buf[n] = '\0';
	return true;
}

int addr_parse(const char *text, struct addr *ret)
{
	enum family family = strchr(text, ':') ? FAMILY_IPV6 : FAMILY_IPV4;
	char plain[ADDR_TEXT_LEN];
	uint8_t bytes[16];

	if (!strip_zeros(text, plain, sizeof(plain)) ||
	    inet_pton(family_af(family), plain, bytes) != 1)
		return -EINVAL;
	*ret = addr_from_bytes(family, bytes);
	return 0;
}

const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
	size_t len;
	const uint8_t *bytes = addr_bytes(a, &len);

	(void)inet_ntop(family_af(addr_family(a)), bytes, buf, ADDR_TEXT_LEN);
	/* inet_ntop() writes "::1.2.3.4" for addresses in ::/96. */
	if (len == 16 && strchr(buf, '.'))
		(void)snprintf(buf, ADDR_TEXT_LEN, "::%x:%x", bytes[12] << 8 | bytes[13],
			       bytes[14] << 8 | bytes[15]);
	return buf;
}

/* The whole text is one decimal number. */
static bool parse_decimal(const char *p, uint32_t max, uint32_t *ret)
{
	uint32_t n = 0;

	if (!*p)
		return false;
	for (; *p; p++) {
		if (!isdigit((unsigned char)*p))
			return false;
		n = n * 10 + (uint32_t)(*p - '0');
		if (n > max)
			return false;
	}
	*ret = n;
	return true;
}

/* Copies the text without blanks around it; false if it does not fit. */
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
		mapped_bits = MAPPED_BITS;
	if (prefix_len < mapped_bits)
		return -EINVAL;
	return cidr_make(&a, prefix_len - mapped_bits, ret);
}

const char *cidr_format(const struct cidr *c, char buf[static CIDR_TEXT_LEN])
{
	size_t len = strlen(addr_format(&c->addr, buf));

	(void)snprintf(buf + len, CIDR_TEXT_LEN - len, "/%u", c->prefix_len);
	return buf;
}

const char *addr_port_format(const struct addr *a, uint16_t port,
			     char buf[static ADDR_PORT_TEXT_LEN])
{
	char text[ADDR_TEXT_LEN];

	(void)snprintf(buf, ADDR_PORT_TEXT_LEN,
		       addr_family(a) == FAMILY_IPV6 ? "[%s]:%u" : "%s:%u",
		       addr_format(a, text), port);
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
