/*
 * A slab of items: each is zeroed and apart from the others, also when it is taken again.
 */
#include "tests/test.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/slab.h"

#define N 5000 /* several blocks */

static const uint8_t zeroes[64];

static void fill(struct slab *p, size_t len, uint8_t *items[N])
{
	for (size_t i = 0; i < N; i++) {
		if (items[i])
			continue;
		items[i] = slab_take(p);
		assert_int_equal((uintptr_t)items[i] % sizeof(void *), 0);
		assert_memory_equal(items[i], zeroes, len);
		memset(items[i], (int)(i % 255) + 1, len);
	}
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < len; k++)
			assert_int_equal(items[i][k], i % 255 + 1);
}

static void items_are_zeroed_and_apart(void **state)
{
	static const size_t lens[] = {1, 8, 20, 64};

	(void)state;
	for (size_t l = 0; l < N_ELEMENTS(lens); l++) {
		uint8_t *items[N] = {NULL};
		struct slab p;

		slab_init(&p, lens[l]);
		fill(&p, lens[l], items);
		for (size_t i = 0; i < N; i += 3) {
			slab_give(&p, items[i]);
			items[i] = NULL;
		}
		fill(&p, lens[l], items);
		slab_fini(&p);
	}
}

static int compare_pointers(const void *a, const void *b)
{
	const uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

/* Memory does not grow while as many are taken as are given back. */
static void items_that_were_given_back_are_taken_again(void **state)
{
	uintptr_t before[N], after[N];
	struct slab p;

	(void)state;
	slab_init(&p, 24);
	for (size_t i = 0; i < N; i++)
		before[i] = (uintptr_t)slab_take(&p);
	for (size_t i = 0; i < N; i++)
		slab_give(&p, (void *)before[i]);
	for (size_t i = 0; i < N; i++)
		after[i] = (uintptr_t)slab_take(&p);
	qsort(before, N, sizeof(before[0]), compare_pointers);
	qsort(after, N, sizeof(after[0]), compare_pointers);
	assert_memory_equal(before, after, sizeof(before));
	slab_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_are_zeroed_and_apart),
		cmocka_unit_test(items_that_were_given_back_are_taken_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
