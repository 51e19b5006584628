/*
 * An adopted number is found under the bytes of the element that it comes from:
 * the frontend of a service, or a service's number with an endpoint.
 */
#include "rules/nft/nft_numbers.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash.h"
#include "core/mem.h"

#define NUMBER_MAX 0xffffu
#define SPARE	   64 /* endpoints that are remembered besides those that exist */

struct numbered_endpoint {
	struct addr addr;
	uint16_t port, number;
};

struct numbered {
	char *key;
	uint8_t family;
	bool is_unsettled;
	uint16_t number, next;
	struct numbered_endpoint *endpoints; /* by address and port */
	size_t n, cap;
};

struct adopted {
	char key[2 * NFT_KEY_MAX + 8];
	uint32_t number;
};

static uint64_t hash_key(const void *key)
{
	return hash_string(key);
}

static bool equal_numbered(const void *item, const void *key)
{
	return strcmp(((const struct numbered *)item)->key, key) == 0;
}

static const void *numbered_key(const void *item)
{
	return ((const struct numbered *)item)->key;
}

static bool equal_adopted(const void *item, const void *key)
{
	return strcmp(((const struct adopted *)item)->key, key) == 0;
}

static const void *adopted_key(const void *item)
{
	return ((const struct adopted *)item)->key;
}

static const struct hash_ops numbered_ops = {hash_key, equal_numbered, numbered_key};
static const struct hash_ops adopted_ops = {hash_key, equal_adopted, adopted_key};

void nft_numbers_init(struct nft_numbers *n)
{
	*n = (struct nft_numbers){0};
	hash_init(&n->services, &numbered_ops);
	hash_init(&n->adopted, &adopted_ops);
}

static void numbered_free(struct numbered *s)
{
	free(s->key);
	free(s->endpoints);
	free(s);
}

void nft_numbers_fini(struct nft_numbers *n)
{
	struct numbered *s;

	nft_numbers_end_adoption(n);
	hash_fini(&n->adopted);
	for (size_t i = 0; (s = hash_next(&n->services, &i));)
		numbered_free(s);
	hash_fini(&n->services);
}

static bool has_bit(const uint64_t *bits, uint32_t number)
{
	return bits[number / 64] >> number % 64 & 1;
}

static void set_bit(uint64_t *bits, uint32_t number)
{
	bits[number / 64] |= UINT64_C(1) << number % 64;
}

/* The same in every process, so that a dump shows the numbers of the kernel, mostly. */
static uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash ^ hash >> 16;
}

static void format_key(const uint8_t *bytes, size_t len, enum family family,
		       enum nft_set set, char key[static 2 * NFT_KEY_MAX + 8])
{
	static const char digits[] = "0123456789abcdef";

	*key++ = (char)('0' + family);
	*key++ = set == SET_AFFINITY_SERVICES ? 's' : 'n';
	for (size_t i = 0; i < len; i++) {
		*key++ = digits[bytes[i] >> 4];
		*key++ = digits[bytes[i] & 15];
	}
	*key = '\0';
}

void nft_numbers_adopt(struct nft_numbers *n, const struct nft_element *e)
{
	struct adopted *a;

	if (e->value_len != sizeof(a->number))
		return;
	a = xcalloc(1, sizeof(*a));
	format_key(e->key, e->key_len, e->family, e->set, a->key);
	memcpy(&a->number, e->value, sizeof(a->number));
	if (e->set == SET_AFFINITY_SERVICES)
		set_bit(n->reserved[e->family], a->number >> NFT_NUMBER_SHIFT);
	free(hash_put(&n->adopted, a));
}

/* The numbers that no service has asked for are free again. */
void nft_numbers_end_adoption(struct nft_numbers *n)
{
	struct adopted *a;

	for (size_t i = 0; (a = hash_next(&n->adopted, &i));)
		free(a);
	hash_clear(&n->adopted);
	memset(n->reserved, 0, sizeof(n->reserved));
}

static uint32_t find_adopted(const struct nft_numbers *n, enum nft_set set,
			     enum family family, const uint8_t *bytes, size_t len)
{
	char key[2 * NFT_KEY_MAX + 8];
	const struct adopted *a;

	format_key(bytes, len, family, set, key);
	a = hash_find(&n->adopted, key);
	return a ? a->number : 0;
}

/* The number in the kernel for a frontend of the service; 0: none, or it is in use. */
static uint32_t adopted_number_at(const struct nft_numbers *n, const struct service *s,
				  const struct addr *addr, uint16_t port)
{
	uint8_t bytes[NFT_KEY_MAX];
	size_t len = nft_key_frontend(bytes, addr, s->proto, port);
	uint32_t number = find_adopted(n, SET_AFFINITY_SERVICES, s->family, bytes, len) >>
			  NFT_NUMBER_SHIFT;

	return has_bit(n->used[s->family], number) ? 0 : number;
}

/* One of its frontends has it. */
static uint32_t adopted_number(const struct nft_numbers *n, const struct service *s)
{
	const struct frontend *f = service_frontends(s);

	for (uint32_t i = 0; n->adopted.n && i < s->n_frontends; i++) {
		uint32_t number = adopted_number_at(n, s, &f[i].addr, f[i].port);

		if (number)
			return number;
	}
	return 0;
}

static uint32_t free_number(const struct nft_numbers *n, const struct service *s,
			    const char *key)
{
	uint32_t start = hash_text(key) % NUMBER_MAX;

	for (uint32_t i = 0; i < NUMBER_MAX; i++) {
		uint32_t number = (start + i) % NUMBER_MAX + 1;

		if (!has_bit(n->used[s->family], number) &&
		    !has_bit(n->reserved[s->family], number))
			return number;
	}
	return 0;
}

static char *make_key(const struct service *s)
{
	return xasprintf("%s/%s/%s/%u/%u", service_namespace(s), service_name(s),
			 service_port_name(s), s->proto, s->family);
}

static struct numbered *find(struct nft_numbers *n, const struct service *s)
{
	_cleanup_(freep) char *key = make_key(s);
	struct numbered *found = hash_find(&n->services, key);
	uint32_t number;

	if (found)
		return found;
	number = adopted_number(n, s);
	if (!number)
		number = free_number(n, s, key);
	if (!number)
		return NULL;
	found = xcalloc(1, sizeof(*found));
	found->key = take_ptr(key);
	found->family = s->family;
	found->number = (uint16_t)number;
	set_bit(n->used[s->family], number);
	(void)hash_put(&n->services, found);
	return found;
}

uint32_t nft_numbers_service(struct nft_numbers *n, const struct service *s)
{
	const struct numbered *found = find(n, s);

	return found ? (uint32_t)found->number << NFT_NUMBER_SHIFT : 0;
}

static int compare(const struct numbered_endpoint *a, const struct endpoint *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	return order ? order : (int)a->port - (int)b->port;
}

static bool has_number(const struct numbered *s, uint32_t number)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->endpoints[i].number == number)
			return true;
	return false;
}

/* The next one upwards; after the last one, any that is free. */
static uint16_t next_number(struct numbered *s)
{
	if (s->next < NUMBER_MAX)
		return ++s->next;
	for (uint32_t number = 1; number <= NUMBER_MAX; number++)
		if (!has_number(s, number))
			return (uint16_t)number;
	return 0;
}

static uint16_t number_of_new(const struct nft_numbers *n, struct numbered *s,
			      const struct endpoint *e)
{
	uint32_t service = (uint32_t)s->number << NFT_NUMBER_SHIFT, adopted = 0;
	uint8_t bytes[NFT_KEY_MAX];

	if (n->adopted.n)
		adopted =
			find_adopted(n, SET_AFFINITY_NUMBERS, s->family, bytes,
				     nft_key_numbered(bytes, service, &e->addr, e->port));
	if ((adopted & NFT_NUMBER_MASK) == service && adopted != service &&
	    !has_number(s, adopted & ~NFT_NUMBER_MASK)) {
		if ((uint16_t)adopted > s->next)
			s->next = (uint16_t)adopted;
		return (uint16_t)adopted;
	}
	return next_number(s);
}

uint32_t nft_numbers_endpoint(struct nft_numbers *n, const struct service *s,
			      const struct endpoint *endpoint)
{
	struct numbered *found = find(n, s);
	size_t low = 0, high = found ? found->n : 0;
	uint16_t number;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = compare(&found->endpoints[mid], endpoint);

		if (order == 0)
			return (uint32_t)found->number << NFT_NUMBER_SHIFT |
			       found->endpoints[mid].number;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	number = found ? number_of_new(n, found, endpoint) : 0;
	if (!number)
		return 0;
	found->endpoints =
		xgrow(found->endpoints, found->n, &found->cap, sizeof(*found->endpoints));
	memmove(found->endpoints + low + 1, found->endpoints + low,
		(found->n - low) * sizeof(*found->endpoints));
	found->endpoints[low] =
		(struct numbered_endpoint){endpoint->addr, endpoint->port, number};
	found->n++;
	return (uint32_t)found->number << NFT_NUMBER_SHIFT | number;
}

static void forget(struct nft_numbers *n, const char *key)
{
	struct numbered *found = hash_del(&n->services, key);

	if (!found)
		return;
	n->used[found->family][found->number / 64] &=
		~(UINT64_C(1) << found->number % 64);
	numbered_free(found);
}

static bool has_endpoint(const struct service *s, const struct numbered_endpoint *e)
{
	const struct endpoint *endpoints = service_endpoints(s);

	for (uint32_t i = 0; i < s->n_endpoints; i++)
		if (compare(e, &endpoints[i]) == 0)
			return true;
	return false;
}

void nft_numbers_settle(struct nft_numbers *n, const struct service *old,
			const struct service *new)
{
	struct numbered *s;
	size_t kept = 0;

	if (!new || !new->affinity_sec) {
		_cleanup_(freep) char *key = NULL;

		if (old && old->affinity_sec)
			forget(n, key = make_key(old));
		return;
	}
	s = find(n, new);
	if (s)
		s->is_unsettled = false;
	if (!s || s->n <= 2 * (size_t) new->n_endpoints + SPARE)
		return;
	for (size_t i = 0; i < s->n; i++)
		if (has_endpoint(new, &s->endpoints[i]))
			s->endpoints[kept++] = s->endpoints[i];
	s->n = kept;
}

void nft_numbers_start_sweep(struct nft_numbers *n)
{
	struct numbered *s;

	for (size_t i = 0; (s = hash_next(&n->services, &i));)
		s->is_unsettled = true;
}

void nft_numbers_end_sweep(struct nft_numbers *n)
{
	struct numbered *s;

	for (size_t i = 0; (s = hash_next(&n->services, &i));)
		if (s->is_unsettled)
			forget(n, s->key);
}
