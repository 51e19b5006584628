/*
 * The fast parser gives what jansson's own gives, for common and rare texts, for
 * wrong ones, and for each of them cut anywhere.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/json_fast.h"

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

/* With the order of keys; NULL if it was refused. */
static char *dump(const json_t *json)
{
	return json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
}

static void check(const char *text, size_t len, size_t flags)
{
	/* exactly as long as it is, so that reading beyond is seen */
	_cleanup_(freep) char *bytes = xmalloc(len + !len);
	json_error_t error = {.line = -1}, wanted_error = {.line = -1};
	json_auto_t *json, *wanted;
	_cleanup_(freep) char *got = NULL, *want = NULL;

	memcpy(bytes, text, len);
	json = json_fast_load(bytes, len, flags, &error);
	wanted = json_loadb(bytes, len, flags, &wanted_error);
	got = dump(json);
	want = dump(wanted);
	if (!got != !want || (got && strcmp(got, want) != 0) ||
	    (!got && strcmp(error.text, wanted_error.text) != 0))
		fail_msg("%.*s: %s (%s), not %s (%s)", (int)len, text, got, error.text,
			 want, wanted_error.text);
}

static void check_all_of(const char *text, size_t len)
{
	for (size_t n = 0; n <= len; n++) {
		check(text, n, FLAGS);
		check(text, n, FLAGS | JSON_REJECT_DUPLICATES);
	}
}

static void the_result_is_that_of_the_slow_parser(void **state)
{
	static const char *const texts[] = {
		"{}",
		" {\"b\" :\t[ 1 ,\r\n-20,0 , -0, \"\"] , \"a\":{ } , \"c\":[ ]}\n ",
		"{\"a\":true,\"b\":false,\"c\":null,\"\":[[],{}]}",
		"{\"a\":trues}",
		"{\"a\":nul}",
		"{\"a\":True}",
		"{\"a\":123456789012345678,\"b\":-123456789012345678}",
		"{\"a\":9223372036854775807,\"b\":-9223372036854775808}",
		"{\"a\":9223372036854775808}",
		"{\"a\":1234567890123456789012}",
		"{\"a\":1.5,\"b\":1e3,\"c\":-0.25E-1,\"d\":0.0}",
		"{\"a\":1e400}",
		"{\"a\":01}",
		"{\"a\":-01}",
		"{\"a\":00}",
		"{\"a\":-}",
		"{\"a\":+1}",
		"{\"a\":.5}",
		"{\"a\":1a}",
		"{\"a\":0x1}",
		"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\n\\\"\":1}",
		"{\"a\":\"\\u00e4\\u20ac\\ud83d\\ude00\",\"\\u0062\":1}",
		"{\"a\":\"\\u0000\"}",
		"{\"\\u0000\":1}",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\q\"}",
		"{\"a\":\"\\U0041\"}",
		"{\"\xc3\xa4\":\"\xe2\x82\xac \xf0\x9f\x98\x80\"}",
		"{\"a\":\"\xff\"}",
		"{\"\xff\":1}",
		"{\"a\":\"\xc0\x80\"}",
		"{\"a\":\"\xed\xa0\x80\"}",
		"{\"a\":\"\xf4\x90\x80\x80\"}",
		"{\"\xc3\xa4\":\"x\",\"x\":\"\xc3\xa4\",\"y\":\"\xc3\"}",
		"{\"a\":\"\x7f\"}",
		"{\"a\":\"\x1f\"}",
		"{\"a\":\"\n\"}",
		"{\"\t\":1}",
		"{\"a\":1,\"b\":2,\"a\":3}",
		"{\"a\":[{\"b\":1,\"b\":1}]}",
		"{\"a\":1,}",
		"{,}",
		"{\"a\":[1,]}",
		"{\"a\":[,1]}",
		"{\"a\":[1 2]}",
		"{\"a\" 1}",
		"{\"a\":1 \"b\":2}",
		"{a:1}",
		"{'a':1}",
		"{1:2}",
		"{\"a\":[}",
		"{\"a\":{]}",
		"{\"a\":1]",
		"{}{}",
		"{} x",
		"{}\f",
		"{\v}",
		"\xef\xbb\xbf{}",
		"[{\"a\":1}]",
		"\"a\"",
		"1",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		check_all_of(texts[i], strlen(texts[i]));
	check_all_of("{\"a\0\":\"b\0c\"}\0", 13);
}

static void depth_and_length_make_no_difference(void **state)
{
	(void)state;
	for (size_t depth = 60; depth < 70; depth++) {
		struct buf text = BUF_INIT;

		for (size_t i = 0; i < depth; i++)
			buf_printf(&text, "{\"key-%zu\":[", i);
		for (size_t i = 0; i < 100; i++)
			buf_printf(&text, "\"a string with a \\n, number %zu\",", i);
		buf_add_string(&text, "1");
		for (size_t i = 0; i < depth; i++)
			buf_printf(&text, "],\"z\":%zu}", i);
		check(text.data, text.len, FLAGS);
		check(text.data, text.len - 1, FLAGS);
		buf_fini(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_result_is_that_of_the_slow_parser),
		cmocka_unit_test(depth_and_length_make_no_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
