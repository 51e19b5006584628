/*
 * IP addresses, networks, address+port.  An address is 16 bytes; IPv4 is kept
 * IPv4-mapped (::ffff:a.b.c.d), so one type serves both families and equality
 * is memcmp().  Text is parsed as sloppily as kube-proxy does (leading zeros
 * in IPv4 octets are decimal, blanks around a CIDR are trimmed) and always
 * formatted canonically (RFC 5952).
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum family { FAMILY_IPV4, FAMILY_IPV6, FAMILY_N };

struct addr {
	uint8_t b[16];
};

struct cidr {
	struct addr addr;   /* host bits are zero */
	uint8_t prefix_len; /* in bits of its own family: 0..32 or 0..128 */
};

#define ADDR_TEXT_LEN	   46 /* with the NUL */
#define CIDR_TEXT_LEN	   50
#define ADDR_PORT_TEXT_LEN 56

/* "IPv4" / "IPv6", as the Kubernetes API writes it. */
const char *family_name(enum family family);
/* False if the text is not a name of a family. */
bool family_parse(const char *text, enum family *ret);
/* AF_INET or AF_INET6. */
int family_af(enum family family);

enum family addr_family(const struct addr *a);
bool addr_equal(const struct addr *a, const struct addr *b);
int addr_compare(const struct addr *a, const struct addr *b);
bool addr_is_unspecified(const struct addr *a); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);	/* 127.0.0.0/8 or ::1 */
bool addr_is_link_local(const struct addr *a);	/* 169.254.0.0/16 or fe80::/10 */
struct addr addr_unspecified(enum family family);

/* From network-order bytes: 4 of them for IPv4, 16 for IPv6. */
struct addr addr_from_bytes(enum family family, const void *bytes);
/* The network-order bytes of its own family; *ret_len is 4 or 16. */
const uint8_t *addr_bytes(const struct addr *a, size_t *ret_len);

/* -EINVAL when it isn't an address; zones ("fe80::1%eth0") are refused. */
int addr_parse(const char *text, struct addr *ret);
const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_LEN]);

/*
 * "a.b.c.d/len"; a missing "/len" is -EINVAL. Host bits are cleared. IPv6 networks
 * that end within ::ffff:0:0/96 (like ::/80) are -EINVAL, too: no family fits both ends.
 */
int cidr_parse(const char *text, struct cidr *ret);
const char *cidr_format(const struct cidr *c, char buf[static CIDR_TEXT_LEN]);
/* Host bits are cleared; -EINVAL for a length or a network that cannot be. */
int cidr_make(const struct addr *a, uint32_t prefix_len, struct cidr *ret);
bool cidr_contains(const struct cidr *c, const struct addr *a);
/* Does an address belong to both? */
bool cidr_overlaps(const struct cidr *a, const struct cidr *b);
bool cidr_equal(const struct cidr *a, const struct cidr *b);
enum family cidr_family(const struct cidr *c);
/* First and last address, for interval sets. */
void cidr_range(const struct cidr *c, struct addr *ret_first, struct addr *ret_last);

/* "1.2.3.4:80" or "[2001:db8::1]:80". */
const char *addr_port_format(const struct addr *a, uint16_t port,
			     char buf[static ADDR_PORT_TEXT_LEN]);
/* Both forms back; the port must be 1..65535. */
int addr_port_parse(const char *text, struct addr *ret_addr, uint16_t *ret_port);

socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port,
			   struct sockaddr_storage *ret);
int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret_addr,
		       uint16_t *ret_port);

/* "TCP", "UDP", "SCTP" for IPPROTO_*; NULL for others. */
const char *proto_name(uint8_t proto);
/* Any case; 0 when it isn't one of the three. */
uint8_t proto_parse(const char *text);
