#include "proxy/relay/relay_header.h"

#include <stdio.h>
#include <string.h>

#define SIGNATURE_LEN 12
#define TCP_IPV4      0x11
#define TCP_IPV6      0x21

static size_t put(uint8_t *to, const void *bytes, size_t len)
{
	memcpy(to, bytes, len);
	return len;
}

static size_t put_u16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
	return 2;
}

static size_t write_text(const struct addr *client, uint16_t client_port,
			 const struct addr *frontend, uint16_t port,
			 uint8_t ret[static RELAY_HEADER_LEN])
{
	char from[ADDR_TEXT_LEN], to[ADDR_TEXT_LEN];

	return (size_t)snprintf((char *)ret, RELAY_HEADER_LEN, "PROXY %s %s %s %u %u\r\n",
				addr_family(client) == FAMILY_IPV4 ? "TCP4" : "TCP6",
				addr_format(client, from), addr_format(frontend, to),
				client_port, port);
}

static size_t write_binary(const struct addr *client, uint16_t client_port,
			   const struct addr *frontend, uint16_t port,
			   uint8_t ret[static RELAY_HEADER_LEN])
{
	static const uint8_t signature[SIGNATURE_LEN] = "\r\n\r\n\0\r\nQUIT\n";
	size_t addr_len, len = put(ret, signature, SIGNATURE_LEN);
	const uint8_t *from = addr_bytes(client, &addr_len);
	const uint8_t *to = addr_bytes(frontend, &addr_len);

	ret[len++] = 0x21; /* version 2, a connection for a client */
	ret[len++] = addr_len == 4 ? TCP_IPV4 : TCP_IPV6;
	len += put_u16(ret + len, (uint16_t)(2 * addr_len + 4));
	len += put(ret + len, from, addr_len);
	len += put(ret + len, to, addr_len);
	len += put_u16(ret + len, client_port);
	len += put_u16(ret + len, port);
	return len;
}

size_t relay_header_write(uint8_t version, const struct addr *client,
			  uint16_t client_port, const struct addr *frontend,
			  uint16_t port, uint8_t ret[static RELAY_HEADER_LEN])
{
	return version == 1 ? write_text(client, client_port, frontend, port, ret)
			    : write_binary(client, client_port, frontend, port, ret);
}
