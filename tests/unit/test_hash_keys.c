/*
 * The keys that many tables share: equal ones are found, others are not.
 */
#include "tests/test.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"

struct named {
	const char *ns, *name;
	int number;
};

static void an_item_is_found_by_namespace_and_name(void **state)
{
	struct named items[] = {{"a", "b", 1}, {"b", "a", 2}, {"", "ab", 3}};
	const struct named *found;
	struct hash h;
	char ns[] = "b", name[] = "a";

	(void)state;
	hash_init(&h, &name_key_ops);
	for (size_t i = 0; i < N_ELEMENTS(items); i++)
		assert_null(hash_put(&h, &items[i]));
	found = hash_find(&h, &(struct name_key){ns, name});
	assert_non_null(found);
	assert_int_equal(found->number, 2);
	assert_null(hash_find(&h, &(struct name_key){"a", "a"}));
	assert_null(hash_find(&h, &(struct name_key){"ab", ""}));
	hash_fini(&h);
}

static void an_item_is_found_by_its_string_key(void **state)
{
	struct {
		const char *name;
		int number;
	} items[] = {{"x", 1}, {"y", 2}};
	const char *key = "y", *other = "z";
	struct hash h;

	(void)state;
	hash_init(&h, &string_key_ops);
	for (size_t i = 0; i < N_ELEMENTS(items); i++)
		assert_null(hash_put(&h, &items[i]));
	assert_ptr_equal(hash_find(&h, &key), &items[1]);
	assert_null(hash_find(&h, &other));
	hash_fini(&h);
}

struct short_key { /* as struct bytes_key */
	uint8_t len;
	uint8_t bytes[3];
};

static void bytes_beyond_the_length_of_a_key_do_not_count(void **state)
{
	struct short_key item = {2, {1, 2, 9}}, same = {2, {1, 2, 8}};
	struct short_key longer = {3, {1, 2, 9}}, other = {2, {1, 3, 9}}, none = {0};
	struct hash h;

	(void)state;
	hash_init(&h, &bytes_key_ops);
	assert_null(hash_put(&h, &item));
	assert_ptr_equal(hash_find(&h, &same), &item);
	assert_null(hash_find(&h, &longer));
	assert_null(hash_find(&h, &other));
	assert_null(hash_find(&h, &none));
	hash_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_item_is_found_by_namespace_and_name),
		cmocka_unit_test(an_item_is_found_by_its_string_key),
		cmocka_unit_test(bytes_beyond_the_length_of_a_key_do_not_count),
	};

	return cmocka_run_group_tests_name("hash keys", tests, NULL, NULL);
}
