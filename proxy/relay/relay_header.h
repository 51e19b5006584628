/*
 * The header of the PROXY protocol, versions 1 and 2: the addresses of the
 * client's connection, sent to the endpoint before the client's bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define RELAY_HEADER_LEN 108 /* the longest one */

/* Returns the length; version is 1 or 2. Both addresses are of one family. */
size_t relay_header_write(uint8_t version, const struct addr *client,
			  uint16_t client_port, const struct addr *frontend,
			  uint16_t port, uint8_t ret[static RELAY_HEADER_LEN]);
