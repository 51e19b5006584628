/*
 * Any text as an address, a network, an address with port: a value that was
 * read is written canonically and reads back the same; libc reads it the same
 * way.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "core/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_addr(const char *text)
{
	char canonical[ADDR_TEXT_LEN];
	uint8_t raw[16];
	struct addr a, b;

	if (addr_parse(text, &a) < 0) {
		/* We are the sloppier ones. */
		assert(inet_pton(AF_INET, text, raw) != 1);
		assert(inet_pton(AF_INET6, text, raw) != 1);
		return;
	}
	(void)addr_format(&a, canonical);
	assert(strlen(canonical) < sizeof(canonical));
	assert(addr_parse(canonical, &b) == 0 && addr_equal(&a, &b));
	assert(inet_pton(family_af(addr_family(&a)), canonical, raw) == 1);
}

static void try_cidr(const char *text)
{
	char canonical[CIDR_TEXT_LEN];
	struct addr first, last;
	struct cidr a, b;

	if (cidr_parse(text, &a) < 0)
		return;
	assert(cidr_parse(cidr_format(&a, canonical), &b) == 0 && cidr_equal(&a, &b));
	cidr_range(&a, &first, &last);
	assert(cidr_contains(&a, &first) && cidr_contains(&a, &last));
	assert(addr_compare(&first, &last) <= 0);
}

static void try_addr_port(const char *text)
{
	char canonical[ADDR_PORT_TEXT_LEN];
	uint16_t port, port_again;
	struct addr a, b;

	if (addr_port_parse(text, &a, &port) < 0)
		return;
	(void)addr_port_format(&a, port, canonical);
	assert(addr_port_parse(canonical, &b, &port_again) == 0);
	assert(addr_equal(&a, &b) && port == port_again && port > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(freep) char *text = xstrndup((const char *)bytes, len);

	try_addr(text);
	try_cidr(text);
	try_addr_port(text);
	return 0;
}
