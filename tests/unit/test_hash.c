/*
 * The hash map has exactly the items that were put, through growth, deletion
 * and deletion while iterating.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash.h"

struct number {
	unsigned value;
};

static uint64_t hash_number(const void *key)
{
	return hash_bytes(key, sizeof(unsigned));
}

/* All in one chain: what is hardest for open addressing. */
static uint64_t hash_badly(const void *key)
{
	(void)key;
	return 7;
}

static bool is_number(const void *item, const void *key)
{
	return ((const struct number *)item)->value == *(const unsigned *)key;
}

static const void *number_key(const void *item)
{
	return &((const struct number *)item)->value;
}

static const struct hash_ops good_ops = {hash_number, is_number, number_key};
static const struct hash_ops bad_ops = {hash_badly, is_number, number_key};

#define _hash_ _cleanup_(hash_fini) struct hash

static void nothing_is_found_in_an_empty_map(void **state)
{
	_hash_ h;
	unsigned key = 1;
	size_t cursor = 0;

	(void)state;
	hash_init(&h, &good_ops);
	assert_null(hash_find(&h, &key));
	assert_null(hash_del(&h, &key));
	assert_null(hash_next(&h, &cursor));
}

static void a_reserved_map_does_not_grow(void **state)
{
	struct number numbers[100];
	_hash_ h;
	size_t n_slots;

	(void)state;
	hash_init(&h, &good_ops);
	hash_reserve(&h, N_ELEMENTS(numbers));
	n_slots = h.n_slots;
	for (unsigned i = 0; i < N_ELEMENTS(numbers); i++) {
		numbers[i].value = i;
		assert_null(hash_put(&h, &numbers[i]));
	}
	assert_int_equal(h.n_slots, n_slots);
	assert_int_equal(h.n, N_ELEMENTS(numbers));
}

static void prepared_items_are_found(void **state)
{
	struct number numbers[100];
	uint64_t hashes[N_ELEMENTS(numbers)];
	_hash_ h;

	(void)state;
	hash_init(&h, &good_ops);
	hash_reserve(&h, N_ELEMENTS(numbers));
	for (unsigned i = 0; i < N_ELEMENTS(numbers); i++) {
		numbers[i].value = i;
		hashes[i] = hash_prepare(&h, &numbers[i]);
	}
	for (unsigned i = 0; i < N_ELEMENTS(numbers); i++)
		hash_put_prepared(&h, &numbers[i], hashes[i]);
	for (unsigned i = 0; i < N_ELEMENTS(numbers); i++)
		assert_ptr_equal(hash_find(&h, &i), &numbers[i]);
	assert_int_equal(h.n, N_ELEMENTS(numbers));
}

static void putting_an_equal_key_replaces_the_item(void **state)
{
	struct number a = {5}, b = {5};
	_hash_ h;

	(void)state;
	hash_init(&h, &good_ops);
	assert_null(hash_put(&h, &a));
	assert_ptr_equal(hash_put(&h, &b), &a);
	assert_ptr_equal(hash_find(&h, &a.value), &b);
	assert_int_equal(h.n, 1);
	hash_clear(&h);
	assert_null(hash_find(&h, &a.value));
	assert_null(hash_put(&h, &a));
}

static void random_puts_and_dels(const struct hash_ops *ops, unsigned n, int steps)
{
	struct number *numbers = calloc(n, sizeof(*numbers));
	bool *is_in = calloc(n, sizeof(*is_in));
	size_t n_in = 0;
	_hash_ h;

	hash_init(&h, ops);
	srand(3);
	for (unsigned i = 0; i < n; i++)
		numbers[i].value = i;
	for (int step = 0; step < steps; step++) {
		unsigned i = (unsigned)rand() % n;
		void *expected = is_in[i] ? &numbers[i] : NULL;

		assert_ptr_equal(hash_find(&h, &i), expected);
		if (rand() % 2) {
			assert_ptr_equal(hash_put(&h, &numbers[i]), expected);
			n_in += !is_in[i];
			is_in[i] = true;
		} else {
			assert_ptr_equal(hash_del(&h, &i), expected);
			n_in -= is_in[i];
			is_in[i] = false;
		}
		assert_int_equal(h.n, n_in);
	}
	/* Tombstones must not make it grow without end. */
	assert_true(h.n_slots <= 8 * n);
	free(numbers);
	free(is_in);
}

static void a_map_is_a_set_after_any_puts_and_deletes(void **state)
{
	(void)state;
	random_puts_and_dels(&good_ops, 1000, 200000);
}

static void a_map_is_a_set_when_all_keys_collide(void **state)
{
	(void)state;
	random_puts_and_dels(&bad_ops, 40, 20000);
}

static void iteration_visits_each_item_once_even_if_items_are_deleted(void **state)
{
	struct number numbers[500], *item;
	unsigned seen[500] = {0};
	_hash_ h;

	(void)state;
	hash_init(&h, &good_ops);
	for (unsigned i = 0; i < 500; i++) {
		numbers[i].value = i;
		(void)hash_put(&h, &numbers[i]);
	}
	for (size_t i = 0; (item = hash_next(&h, &i));) {
		seen[item->value]++;
		if (item->value % 2)
			assert_ptr_equal(hash_del(&h, &item->value), item);
	}
	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(seen[i], 1);
		assert_int_equal(hash_find(&h, &i) != NULL, i % 2 == 0);
	}
}

static void hashes_of_different_keys_differ(void **state)
{
	static const char bytes[64] = {0};

	(void)state;
	assert_int_equal(hash_string("abc"), hash_bytes("abc", 3));
	assert_int_not_equal(hash_string("abc"), hash_string("abd"));
	assert_int_not_equal(hash_mix(1, 2), hash_mix(2, 1));
	/* Zeros of different lengths differ, too. */
	for (size_t a = 0; a < sizeof(bytes); a++)
		for (size_t b = 0; b < a; b++)
			assert_int_not_equal(hash_bytes(bytes, a), hash_bytes(bytes, b));
}

static void low_bits_of_hashes_are_spread(void **state)
{
	unsigned counts[64] = {0};

	(void)state;
	for (unsigned i = 0; i < 64 * 256; i++)
		counts[hash_bytes(&i, sizeof(i)) % 64]++;
	/* 256 each on average, with a standard deviation of 16 */
	for (size_t i = 0; i < N_ELEMENTS(counts); i++)
		assert_in_range(counts[i], 128, 384);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_found_in_an_empty_map),
		cmocka_unit_test(a_reserved_map_does_not_grow),
		cmocka_unit_test(prepared_items_are_found),
		cmocka_unit_test(putting_an_equal_key_replaces_the_item),
		cmocka_unit_test(a_map_is_a_set_after_any_puts_and_deletes),
		cmocka_unit_test(a_map_is_a_set_when_all_keys_collide),
		cmocka_unit_test(
			iteration_visits_each_item_once_even_if_items_are_deleted),
		cmocka_unit_test(hashes_of_different_keys_differ),
		cmocka_unit_test(low_bits_of_hashes_are_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
