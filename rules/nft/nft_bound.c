/*
 * Which endpoint does affinity give a client?  The answer is in two maps: client and
 * service -> number, number -> endpoint of the pool.  A number without an endpoint is of
 * one that was removed: the client gets another one.
 */
#include <errno.h>
#include <string.h>

#include "rules/nft/nft_jhash.h"
#include "rules/nft/nft_inspect.h"
#include "rules/nft/nft_read.h"

static void take_value(void *data, const struct nft_read_element *read)
{
	*(struct nft_element *)data = read->e;
}

/* 1: element has its value now; 0: there is none; or -errno. */
static int look_up(struct nft_kernel *k, struct nft_element *element)
{
	const struct nft_element key = *element;
	int err = nft_read_keys(&k->link, &key, 1, take_value, element);

	return err == -ENOENT ? 0 : err ? err : 1;
}

static struct nft_element client_key(const struct addr *client, uint32_t service)
{
	struct nft_element e = {
		.set = SET_AFFINITY_CLIENTS,
		.family = (uint8_t)addr_family(client),
	};
	size_t len, n;
	const uint8_t *bytes = addr_bytes(client, &len);

	if (e.family == FAMILY_IPV4) {
		n = nft_key_addr(e.key, 0, client);
	} else { /* a key has no room for the address: two hashes of it */
		n = nft_key_u32(e.key, 0, nft_jhash(bytes, len, 1, NFT_HASH_MODULUS));
		n = nft_key_u32(e.key, n, nft_jhash(bytes, len, 2, NFT_HASH_MODULUS));
	}
	e.key_len = (uint8_t)nft_key_u32(e.key, n, service);
	return e;
}

static struct nft_element number_key(enum family family, enum pool pool,
				     const struct nft_element *value)
{
	struct nft_element e = {
		.set = pool == POOL_LOCAL ? SET_AFFINITY_LOCAL_ENDPOINTS
					  : SET_AFFINITY_ENDPOINTS,
		.family = (uint8_t)family,
		.key_len = value->value_len,
	};

	memcpy(e.key, value->value, value->value_len);
	return e;
}

int nft_bound(struct nft_kernel *k, const struct sink_question *q,
	      const struct addr *client, struct endpoint *ret)
{
	const struct decision *d = &q->frontend->from[q->client];
	uint32_t number = q->service->affinity_sec
				  ? nft_numbers_service(&k->numbers, q->service)
				  : 0;
	struct nft_element e = client_key(client, number);
	int found;

	if (!number || d->action != ACTION_BALANCE)
		return 0;
	found = look_up(k, &e);
	if (found != 1)
		return found;
	e = number_key(addr_family(client), (enum pool)d->pool, &e);
	found = look_up(k, &e);
	if (found != 1)
		return found;
	ret->addr = addr_from_bytes(addr_family(client), e.value);
	ret->port =
		(uint16_t)(e.value[nft_shape_offset(SHAPE_ENDPOINT, e.family, 1)] << 8 |
			   e.value[nft_shape_offset(SHAPE_ENDPOINT, e.family, 1) + 1]);
	return 1;
}
