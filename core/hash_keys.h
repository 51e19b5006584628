/*
 * Keys that many hash tables share, for items that start with their key.
 */
#pragma once

#include <stdint.h>

#include "core/hash.h"

/*
 * Namespace and name, borrowed.  An item may embed it, or start with its two
 * members in the same order.
 */
struct name_key {
	const char *ns, *name;
};
extern const struct hash_ops name_key_ops;

/* A string, borrowed: items start with a pointer to it, and the key is such a pointer's address. */
extern const struct hash_ops string_key_ops;

/* A service, by service_same_key(): items start with a pointer to one. */
extern const struct hash_ops service_key_ops;

/* Up to 255 bytes; len counts all that follow it. */
struct bytes_key {
	uint8_t len;
	uint8_t bytes[];
};
extern const struct hash_ops bytes_key_ops;
