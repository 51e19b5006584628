/*
 * Values come out whole and in order, wherever the bytes are cut.
 */
#include "tests/test.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "watchers/json_split.h"

static int collect(void *data, const char *member, const char *bytes, size_t len)
{
	struct buf *out = data;

	buf_printf(out, "%s<%.*s>", member, (int)len, bytes);
	return 0;
}

static const struct {
	enum json_split_mode mode;
	const char *text;
	int err;
	const char *values;
	bool is_complete;
} cases[] = {
	{JSON_SPLIT_STREAM, "", 0, "", true},
	{JSON_SPLIT_STREAM, "{\"a\":1}\n{\"b\":[2]}\n", 0, "<{\"a\":1}><{\"b\":[2]}>",
	 true},
	{JSON_SPLIT_STREAM, "{}{}", 0, "<{}><{}>", true},
	{JSON_SPLIT_STREAM, "{\"a\":\"}\\\"{\"} {", 0, "<{\"a\":\"}\\\"{\"}>", false},
	{JSON_SPLIT_STREAM, "nonsense", -EINVAL, "", false},
	{JSON_SPLIT_STREAM, "}", -EINVAL, "", false},
	{JSON_SPLIT_LIST,
	 "{\"kind\":\"XList\",\"n\":-1.5e3,\"items\":[{\"a\":1},{\"b\":\"]\"}],"
	 "\"metadata\":{\"resourceVersion\":\"7\"},\"z\":null}",
	 0,
	 "kind<\"XList\">n<-1.5e3>items<{\"a\":1}>items<{\"b\":\"]\"}>"
	 "metadata<{\"resourceVersion\":\"7\"}>z<null>",
	 true},
	{JSON_SPLIT_LIST, " { \"items\" : [ ] } ", 0, "", true},
	{JSON_SPLIT_LIST, "{\"items\":null}", 0, "items<null>", true},
	{JSON_SPLIT_LIST, "{\"items\":[{\"a\":1}", 0, "items<{\"a\":1}>", false},
	{JSON_SPLIT_LIST, "{} x", -EINVAL, "", false},
	{JSON_SPLIT_LIST, "[]", -EINVAL, "", false},
	{JSON_SPLIT_LIST, "{\"a\" 1}", -EINVAL, "", false},
	{JSON_SPLIT_LIST, "{\"a\":}", -EINVAL, "", false},
};

static void test_values_come_out_wherever_the_bytes_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (size_t step = 1; step <= strlen(cases[i].text) + 1; step++) {
			_cleanup_(json_split_fini) struct json_split s = {0};
			_cleanup_(buf_fini) struct buf out = BUF_INIT;
			size_t len = strlen(cases[i].text);
			int err = 0;

			json_split_init(&s, cases[i].mode, 1000);
			for (size_t at = 0; at < len && !err; at += step)
				err = json_split_feed(&s, cases[i].text + at,
						      len - at < step ? len - at : step,
						      collect, &out);
			assert_int_equal(err, cases[i].err);
			assert_string_equal(buf_string(&out), cases[i].values);
			if (!err)
				assert_int_equal(json_split_is_complete(&s),
						 cases[i].is_complete);
		}
}

static void test_values_and_nesting_are_bounded(void **state)
{
	_cleanup_(json_split_fini) struct json_split s = {0}, deep = {0};
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	char brackets[JSON_SPLIT_MAX_DEPTH + 8];

	(void)state;
	json_split_init(&s, JSON_SPLIT_STREAM, 10);
	assert_int_equal(json_split_feed(&s, "{\"a\":12345", 10, collect, &out), 0);
	assert_int_equal(json_split_feed(&s, "6}", 2, collect, &out), -E2BIG);
	memset(brackets, '[', sizeof(brackets));
	json_split_init(&deep, JSON_SPLIT_STREAM, 1000);
	assert_int_equal(json_split_feed(&deep, brackets, sizeof(brackets), collect,
					 &out),
			 -E2BIG);
}

static int refuse(void *data, const char *member, const char *bytes, size_t len)
{
	(void)member;
	(void)bytes;
	(void)len;
	(*(int *)data)++;
	return -ECANCELED;
}

static void test_the_callee_can_stop_it(void **state)
{
	_cleanup_(json_split_fini) struct json_split s = {0};
	int n = 0;

	(void)state;
	json_split_init(&s, JSON_SPLIT_STREAM, 1000);
	assert_int_equal(json_split_feed(&s, "{}{}{}", 6, refuse, &n), -ECANCELED);
	assert_int_equal(n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_come_out_wherever_the_bytes_are_cut),
		cmocka_unit_test(test_values_and_nesting_are_bounded),
		cmocka_unit_test(test_the_callee_can_stop_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
