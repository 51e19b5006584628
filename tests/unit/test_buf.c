/*
 * A buffer grows as needed and is always a string.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf_json.h"
#include "core/cleanup.h"

#define _buf_ _cleanup_(buf_fini) struct buf

static void an_empty_buffer_is_an_empty_string(void **state)
{
	_buf_ b = BUF_INIT;
	_cleanup_(freep) char *taken = NULL;

	(void)state;
	assert_string_equal(buf_string(&b), "");
	taken = buf_take(&b);
	assert_string_equal(taken, "");
}

static void added_pieces_are_joined(void **state)
{
	_buf_ b = BUF_INIT;

	(void)state;
	buf_add_string(&b, "one");
	buf_add_char(&b, ' ');
	buf_add(&b, "two-", 3);
	buf_printf(&b, " %d%s", 3, "!");
	assert_string_equal(buf_string(&b), "one two 3!");
	assert_int_equal(b.len, 10);
}

static void a_buffer_grows_by_single_bytes_and_by_large_prints(void **state)
{
	char large[5000];
	_buf_ b = BUF_INIT;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	for (int i = 0; i < 1000; i++)
		buf_add_char(&b, 'a');
	buf_printf(&b, "%s", large);
	assert_int_equal(b.len, 1000 + sizeof(large) - 1);
	assert_int_equal(strspn(b.data, "a"), 1000);
	assert_string_equal(b.data + 1000, large);
}

static void prints_of_every_length_around_the_capacity_are_whole(void **state)
{
	(void)state;
	for (int len = 0; len < 300; len++) {
		_buf_ b = BUF_INIT;

		buf_printf(&b, "%*s", len, "");
		assert_int_equal(b.len, len);
		assert_int_equal(strlen(buf_string(&b)), len);
	}
}

static void a_buffer_may_hold_zero_bytes(void **state)
{
	_buf_ b = BUF_INIT;

	(void)state;
	buf_add(&b, "a\0b", 3);
	buf_add(&b, NULL, 0);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "a\0b", 4);
}

static void taking_the_text_leaves_the_buffer_empty(void **state)
{
	_buf_ b = BUF_INIT;
	_cleanup_(freep) char *taken = NULL;

	(void)state;
	buf_add_string(&b, "mine");
	taken = buf_take(&b);
	buf_add_string(&b, "new");
	assert_string_equal(taken, "mine");
	assert_string_equal(buf_string(&b), "new");
	buf_clear(&b);
	assert_string_equal(buf_string(&b), "");
}

static void json_is_written_with_its_commas_and_escapes(void **state)
{
	_buf_ b = BUF_INIT;

	(void)state;
	buf_json_open(&b, NULL, '[');
	buf_json_open(&b, NULL, '{');
	buf_json_string(&b, "text", "a\"b\\c\n\x1fz");
	buf_json_number(&b, "large", UINT64_MAX);
	buf_json_count(&b, "known", true, 0);
	buf_json_count(&b, "unknown", false, 7);
	buf_add_char(&b, '}');
	buf_json_open(&b, NULL, '{');
	buf_json_open(&b, "list", '[');
	buf_json_word(&b, NULL, "true");
	buf_json_string(&b, NULL, "");
	buf_add_string(&b, "]}");
	buf_json_tenths(&b, NULL, 3.06);
	buf_json_tenths(&b, NULL, 0);
	buf_add_char(&b, ']');
	assert_string_equal(buf_string(&b),
			    "[{\"text\":\"a\\u0022b\\u005cc\\u000a\\u001fz\","
			    "\"large\":18446744073709551615,\"known\":0,"
			    "\"unknown\":null},{\"list\":[true,\"\"]},3.1,0.0]");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_is_an_empty_string),
		cmocka_unit_test(added_pieces_are_joined),
		cmocka_unit_test(a_buffer_grows_by_single_bytes_and_by_large_prints),
		cmocka_unit_test(prints_of_every_length_around_the_capacity_are_whole),
		cmocka_unit_test(a_buffer_may_hold_zero_bytes),
		cmocka_unit_test(json_is_written_with_its_commas_and_escapes),
		cmocka_unit_test(taking_the_text_leaves_the_buffer_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
