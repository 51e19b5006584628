#include "proxy/relay/relay_local.h"

#include <stddef.h>

/* FNV-1a: hashes of core/hash.h differ between processes. The NUL is part of the text. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	while (*text++);
	return hash;
}

uint16_t relay_local_port(const struct service *s, unsigned n)
{
	uint64_t hash = add_text(UINT64_C(0xcbf29ce484222325), service_namespace(s));

	hash = add_text(hash, service_name(s));
	hash = add_text(hash, service_port_name(s));
	hash = add_text(hash, proto_name(s->proto));
	return (uint16_t)(RELAY_LOCAL_FIRST +
			  (hash + n) % (RELAY_LOCAL_LAST - RELAY_LOCAL_FIRST + 1));
}

const struct frontend *relay_local_frontend(const struct service *s)
{
	const struct frontend *f = service_frontends(s);

	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (!f[i].is_limited)
			return &f[i];
	return NULL;
}
