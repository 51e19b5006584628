#include "proxy/relay/relay_choice.h"

#include <string.h>

#include "core/hash.h"

static uint32_t place_of(const struct addr *addr, uint16_t port)
{
	return (uint32_t)(hash_mix(hash_bytes(addr, sizeof(*addr)), port) %
			  RELAY_ASIDE_N);
}

void relay_aside_put(struct relay_aside *a, const struct addr *addr, uint16_t port,
		     uint64_t now_ms, uint64_t duration_ms)
{
	uint32_t i = place_of(addr, port);

	(void)pthread_mutex_lock(&a->lock);
	a->items[i].addr = *addr;
	a->items[i].port = port;
	a->items[i].since_ms = now_ms;
	a->items[i].until_ms = now_ms + duration_ms;
	(void)pthread_mutex_unlock(&a->lock);
}

static bool is_at(const struct relay_aside *a, uint32_t i, const struct addr *addr,
		  uint16_t port)
{
	return a->items[i].port == port && addr_equal(&a->items[i].addr, addr);
}

bool relay_aside_has(struct relay_aside *a, const struct addr *addr, uint16_t port,
		     uint64_t now_ms, uint64_t trial_ms, uint64_t *ret_since_ms)
{
	uint32_t i = place_of(addr, port);
	bool is_known, is_over;

	(void)pthread_mutex_lock(&a->lock);
	is_known = is_at(a, i, addr, port);
	is_over = is_known && a->items[i].until_ms <= now_ms;
	if (is_over)
		a->items[i].until_ms = now_ms + trial_ms;
	if (is_known && !is_over)
		*ret_since_ms = a->items[i].since_ms;
	(void)pthread_mutex_unlock(&a->lock);
	return is_known && !is_over;
}

void relay_aside_clear(struct relay_aside *a, const struct addr *addr, uint16_t port)
{
	uint32_t i = place_of(addr, port);

	(void)pthread_mutex_lock(&a->lock);
	if (is_at(a, i, addr, port))
		memset(&a->items[i], 0, sizeof(a->items[i]));
	(void)pthread_mutex_unlock(&a->lock);
}

void relay_aside_each(struct relay_aside *a, uint64_t now_ms,
		      void (*fn)(void *data, const struct addr *addr, uint16_t port,
				 uint64_t until_ms),
		      void *data)
{
	(void)pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < RELAY_ASIDE_N; i++)
		if (a->items[i].until_ms > now_ms)
			fn(data, &a->items[i].addr, a->items[i].port,
			   a->items[i].until_ms);
	(void)pthread_mutex_unlock(&a->lock);
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

void relay_order_init(struct relay_order *o, uint32_t n, uint64_t random)
{
	o->n = o->n_left = n;
	o->at = n ? (uint32_t)(random % n) : 0;
	o->stride = n > 1 ? 1 + (uint32_t)((random >> 32) % (n - 1)) : 1;
	while (common_divisor(o->stride, n) > 1)
		o->stride--; /* 1 has no common divisor */
}

bool relay_order_next(struct relay_order *o, uint32_t *ret)
{
	if (!o->n_left)
		return false;
	o->n_left--;
	*ret = o->at;
	o->at = (uint32_t)(((uint64_t)o->at + o->stride) % o->n);
	return true;
}
