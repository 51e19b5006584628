/*
 * The endpoints' slots: each has one, whatever the history, and few
 * move when one comes or goes.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_layout.h"
#include "rules/nft/nft_slots.h"

#define NO_ENDPOINT UINT32_MAX
#define POD_BASE    0x0a000000u /* 10.0.0.0 */

static struct endpoint make_endpoint(uint32_t number)
{
	const uint32_t bytes = htonl(POD_BASE + number);

	return (struct endpoint){
		.addr = addr_from_bytes(FAMILY_IPV4, &bytes),
		.port = 8080,
		.flags = ENDPOINT_CLUSTER | (number % 2 ? ENDPOINT_LOCAL : 0),
	};
}

/* Endpoints first..first+n-1 without the one in gone. */
static struct service *make_service(uint32_t first, uint32_t n, uint32_t gone)
{
	_cleanup_(freep) struct endpoint *endpoints = xcalloc(n, sizeof(*endpoints));
	struct service_spec spec = {
		.ns = "default",
		.name = "web",
		.port_name = "",
		.proto = IPPROTO_TCP,
		.endpoints = endpoints,
	};

	for (uint32_t i = first; i < first + n; i++)
		if (i != gone)
			endpoints[spec.n_endpoints++] = make_endpoint(i);
	return service_new(&spec);
}

static int compare_endpoints(const void *a, const void *b)
{
	const struct endpoint *const *x = a, *const *y = b;

	return (*x > *y) - (*x < *y);
}

static void expect_each_in_one_slot(uint32_t n, enum pool pool)
{
	struct service *s = make_service(0, n, NO_ENDPOINT);
	_cleanup_(freep) const struct endpoint **slots = nft_slots_assign(s, pool);
	const struct endpoint *all = service_endpoints(s);
	uint32_t size = nft_pool_size(s, pool), at = 0;

	qsort(slots, size, sizeof(*slots), compare_endpoints);
	for (uint32_t i = 0; i < s->n_endpoints && at < size; i++)
		if (all[i].flags & 1u << pool)
			assert_ptr_equal(slots[at++], &all[i]);
	assert_int_equal(at, size);
	service_unref(s);
}

static void every_endpoint_has_one_slot(void **state)
{
	static const uint32_t sizes[] = {0,  1,	 2,   7,    8,	  9,	 15,
					 16, 17, 100, 1000, 5000, 65536, 70000};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++)
		for (unsigned pool = 0; pool < POOL_N; pool++)
			expect_each_in_one_slot(sizes[i], pool);
}

static void a_pool_has_at_most_the_maximum_of_slots(void **state)
{
	struct service *s = make_service(0, NFT_LOCAL_SLOT + 5, NO_ENDPOINT);

	(void)state;
	assert_int_equal(nft_pool_size(s, POOL_CLUSTER), NFT_LOCAL_SLOT);
	assert_int_equal(nft_pool_size(s, POOL_LOCAL), NFT_LOCAL_SLOT / 2 + 2);
	service_unref(s);
}

static void few_endpoints_keep_their_order_in_slots(void **state)
{
	struct service *s = make_service(1, 8, NO_ENDPOINT);
	_cleanup_(freep) const struct endpoint **slots =
		nft_slots_assign(s, POOL_CLUSTER);

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		assert_ptr_equal(slots[i], &service_endpoints(s)[i]);
	service_unref(s);
}

/* How many slots hold another endpoint, or came or went. */
static uint32_t n_moved(struct service *a, struct service *b)
{
	_cleanup_(freep) const struct endpoint **x = nft_slots_assign(a, POOL_CLUSTER);
	_cleanup_(freep) const struct endpoint **y = nft_slots_assign(b, POOL_CLUSTER);
	uint32_t n = nft_pool_size(a, POOL_CLUSTER), m = nft_pool_size(b, POOL_CLUSTER);
	uint32_t n_both = n < m ? n : m, n_moved = n + m - 2 * n_both;

	for (uint32_t i = 0; i < n_both; i++)
		n_moved += !addr_equal(&x[i]->addr, &y[i]->addr);
	service_unref(a);
	service_unref(b);
	return n_moved;
}

struct moves {
	uint32_t mean, most;
};

/* One of n goes, here and there; or makes room for another one. */
static struct moves count_moves(uint32_t n, bool is_exchange)
{
	const uint32_t n_tries = 30;
	struct moves moves = {0};

	for (uint32_t i = 0; i < n_tries; i++) {
		uint32_t moved =
			n_moved(make_service(0, n + is_exchange,
					     is_exchange ? n : NO_ENDPOINT),
				make_service(0, n + is_exchange, i * n / n_tries));

		moves.mean += moved;
		moves.most = moved > moves.most ? moved : moves.most;
	}
	moves.mean = (moves.mean + n_tries / 2) / n_tries;
	return moves;
}

static void one_changed_endpoint_moves_few_slots(void **state)
{
	static const struct {
		uint32_t n, mean, most; /* twice ln(n), and twice that */
	} cases[] = {{10, 5, 9}, {100, 9, 18}, {1000, 14, 28}, {5000, 17, 34}};

	(void)state;
	for (size_t i = 0; i < 2 * N_ELEMENTS(cases); i++) {
		uint32_t n = cases[i / 2].n;
		struct moves moves = count_moves(n, i % 2);

		print_message("one of %u %s: %u slots change, at most %u\n", n,
			      i % 2 ? "exchanged" : "more or less", moves.mean,
			      moves.most);
		assert_in_range(moves.mean, 1, cases[i / 2].mean);
		assert_in_range(moves.most, 1, cases[i / 2].most);
	}
}

/* An attacker can do this: addresses with equal bids in all rounds. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

static struct service *make_hostile_service(uint32_t n)
{
	_cleanup_(freep) struct endpoint *endpoints = xcalloc(n, sizeof(*endpoints));
	struct service_spec spec = {
		.ns = "default",
		.name = "web",
		.port_name = "",
		.family = FAMILY_IPV6,
		.proto = IPPROTO_TCP,
		.endpoints = endpoints,
		.n_endpoints = n,
	};

	for (uint32_t i = 0; i < n; i++) {
		uint64_t first = 0xfd00 + ((uint64_t)i << 32);
		const uint64_t halves[] = {first, 1 - mix(first + 8080)};

		endpoints[i] = (struct endpoint){
			.addr = addr_from_bytes(FAMILY_IPV6, halves),
			.port = 8080,
			.flags = ENDPOINT_CLUSTER,
		};
	}
	return service_new(&spec);
}

static void colliding_endpoints_have_slots(void **state)
{
	const uint32_t n = NFT_LOCAL_SLOT;
	struct service *s = make_hostile_service(n);
	_cleanup_(freep) const struct endpoint **slots =
		nft_slots_assign(s, POOL_CLUSTER);

	(void)state;
	qsort(slots, n, sizeof(*slots), compare_endpoints);
	for (uint32_t i = 0; i < n; i++)
		assert_ptr_equal(slots[i], &service_endpoints(s)[i]);
	service_unref(s);
	/* they were: else few would move */
	assert_true(n_moved(make_hostile_service(1000), make_hostile_service(999)) > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_endpoint_has_one_slot),
		cmocka_unit_test(a_pool_has_at_most_the_maximum_of_slots),
		cmocka_unit_test(few_endpoints_keep_their_order_in_slots),
		cmocka_unit_test(one_changed_endpoint_moves_few_slots),
		cmocka_unit_test(colliding_endpoints_have_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
