/*
 * Strings are read as an array of pointers: the items are of any type that
 * starts with them.
 */
#include "core/hash_keys.h"

#include <stddef.h>
#include <string.h>

#include "core/service.h"

_Static_assert(offsetof(struct name_key, name) == sizeof(const char *),
	       "a name key is two pointers");

static uint64_t hash_name_key(const void *key)
{
	const char *const *k = key;

	return hash_mix(hash_string(k[0]), hash_string(k[1]));
}

static bool equal_name_key(const void *item, const void *key)
{
	const char *const *a = item, *const *b = key;

	return strcmp(a[1], b[1]) == 0 && strcmp(a[0], b[0]) == 0;
}

const struct hash_ops name_key_ops = {hash_name_key, equal_name_key, NULL};

static uint64_t hash_string_key(const void *key)
{
	return hash_string(*(const char *const *)key);
}

static bool equal_string_key(const void *item, const void *key)
{
	return strcmp(*(const char *const *)item, *(const char *const *)key) == 0;
}

const struct hash_ops string_key_ops = {hash_string_key, equal_string_key, NULL};

/* The length is hashed and compared, too. */
static uint64_t hash_bytes_key(const void *key)
{
	return hash_bytes(key, *(const uint8_t *)key + 1u);
}

static bool equal_bytes_key(const void *item, const void *key)
{
	return *(const uint8_t *)item == *(const uint8_t *)key &&
	       memcmp(item, key, *(const uint8_t *)key + 1u) == 0;
}

const struct hash_ops bytes_key_ops = {hash_bytes_key, equal_bytes_key, NULL};

static uint64_t hash_service_key(const void *key)
{
	return service_hash_key(key);
}

static const void *key_of_service(const void *item)
{
	return *(const struct service *const *)item;
}

static bool equal_service_key(const void *item, const void *key)
{
	return service_same_key(key_of_service(item), key);
}

const struct hash_ops service_key_ops = {hash_service_key, equal_service_key,
					 key_of_service};
