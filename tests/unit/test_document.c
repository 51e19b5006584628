/*
 * Bytes of a manifest become JSON documents as Kubernetes would read them, and
 * hostile ones become one line.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/document.h"

/* Documents as compact JSON, "number:json" each on a line. */
static void note(void *data, const struct document *doc)
{
	_cleanup_(freep) char *text =
		json_dumps(doc->json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	buf_printf(data, "%u:%s\n", doc->number, text);
}

static int parse(const char *text, size_t len, struct buf *ret, char **ret_error)
{
	/* exactly as long as it is, so that reading beyond is seen */
	_cleanup_(freep) char *bytes = xmalloc(len + !len);

	memcpy(bytes, text, len);
	return document_parse(bytes, len, note, ret, ret_error);
}

struct good_case {
	const char *text, *documents;
};

static void check_good(const struct good_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *error = NULL;
		struct buf documents = BUF_INIT;
		int rc = parse(cases[i].text, strlen(cases[i].text), &documents, &error);

		if (rc != 0)
			print_error("%s: %s\n", cases[i].text, error);
		assert_int_equal(rc, 0);
		assert_string_equal(buf_string(&documents), cases[i].documents);
		buf_fini(&documents);
	}
}

static void json_is_read_unchanged(void **state)
{
	static const struct good_case cases[] = {
		{"", ""},
		{" \n", ""},
		{"{\"a\":[1,true,null,\"y\"]}", "1:{\"a\":[1,true,null,\"y\"]}\n"},
		{"\xef\xbb\xbf {\"a\":1}", "1:{\"a\":1}\n"},
		{"{\"a\":1,\"a\":2}", "1:{\"a\":2}\n"},
	};

	(void)state;
	check_good(cases, N_ELEMENTS(cases));
}

static void scalars_have_the_types_that_kubernetes_gives_them(void **state)
{
	static const struct good_case cases[] = {
		{"a: [y, Yes, on, TRUE, n, No, OFF, false]",
		 "1:{\"a\":[true,true,true,true,false,false,false,false]}\n"},
		{"a: ['y', \"no\", !!str on, yess, nO]",
		 "1:{\"a\":[\"y\",\"no\",\"on\",\"yess\",\"nO\"]}\n"},
		{"a: [~, null, Null, !!null '', '~', \"\"]",
		 "1:{\"a\":[null,null,null,null,\"~\",\"\"]}\n"},
		{"a:\nb: ''", "1:{\"a\":null,\"b\":\"\"}\n"},
		{"a: [0, 80, -1, +5, 1_000, 0x1F, 017, 0o17, 0b11, -0b11, 08]",
		 "1:{\"a\":[0,80,-1,5,1000,31,15,15,3,-3,8]}\n"},
		{"a: [0.5, .5, 1e3, 1.0, -2.5e-1, 1., .3_8]",
		 "1:{\"a\":[0.5,0.5,1000,1,-0.25,1,0.38]}\n"},
		{"a: [9223372036854775807, -9223372036854775808, 9223372036854775808]",
		 "1:{\"a\":[9223372036854775807,-9223372036854775808,"
		 "9.2233720368547758e18]}\n"},
		{"a: ['80', \"80\", !!str 80, !!int '80', 80a, 0x, 1e400, -, '0x10']",
		 "1:{\"a\":[\"80\",\"80\",\"80\",80,\"80a\",\"0x\",\"1e400\",\"-\","
		 "\"0x10\"]}"
		 "\n"},
		{"a: [2026-08-01, 10:30, .inf, .nan, 10.96.0.1, <<]",
		 "1:{\"a\":[\"2026-08-01\",\"10:30\",\".inf\",\".nan\",\"10.96.0.1\",\"<<"
		 "\"]}"
		 "\n"},
		{"a: |\n  80\nb: >\n  yes\n", "1:{\"a\":\"80\\n\",\"b\":\"yes\\n\"}\n"},
		{"1: a\ntrue: b\n0x10: c\n'x y': d\non: e",
		 "1:{\"1\":\"a\",\"16\":\"c\",\"true\":\"e\",\"x y\":\"d\"}\n"},
		{"a: \"\\u00e4\\x41\\n\"", "1:{\"a\":\"\xc3\xa4"
					   "A\\n\"}\n"},
	};

	(void)state;
	check_good(cases, N_ELEMENTS(cases));
}

static void documents_are_counted_and_empty_ones_left_out(void **state)
{
	static const struct good_case cases[] = {
		{"# nothing\n", ""},
		{"---\n", ""},
		{"---\na: 1\n---\n---\nb: 2\n...\n---\n# none\n",
		 "1:{\"a\":1}\n3:{\"b\":2}\n"},
		{"--- {a: 1}\n--- [2]\n--- 3\n", "1:{\"a\":1}\n2:[2]\n3:3\n"},
		{"---\n{\"a\": \"yes\", \"b\": yes}\n", "1:{\"a\":\"yes\",\"b\":true}\n"},
		{"%YAML 1.1\n---\na: 1\n", "1:{\"a\":1}\n"},
	};

	(void)state;
	check_good(cases, N_ELEMENTS(cases));
}

static void anchors_and_merge_keys_are_followed(void **state)
{
	static const struct good_case cases[] = {
		{"a: &x {b: 1}\nc: *x\nd: [*x, *x]",
		 "1:{\"a\":{\"b\":1},\"c\":{\"b\":1},\"d\":[{\"b\":1},{\"b\":1}]}\n"},
		{"a: &x 1\nb: &x 2\nc: *x", "1:{\"a\":1,\"b\":2,\"c\":2}\n"},
		{"a: &x [&x 1, *x]\nb: *x", "1:{\"a\":[1,1],\"b\":1}\n"},
		{"&k a: *k", "1:{\"a\":\"a\"}\n"},
		{"base: &b {x: 1, z: 2}\na: {<<: *b, z: 3}\nb: {z: 3, <<: *b}",
		 "1:{\"a\":{\"x\":1,\"z\":3},\"b\":{\"x\":1,\"z\":3},"
		 "\"base\":{\"x\":1,\"z\":2}}\n"},
		{"a: {<<: [{x: 1}, {x: 2, z: 3}]}", "1:{\"a\":{\"x\":1,\"z\":3}}\n"},
		{"a: {'<<': {x: 1}}", "1:{\"a\":{\"<<\":{\"x\":1}}}\n"},
		{"a: 1\na: 2", "1:{\"a\":2}\n"},
	};

	(void)state;
	check_good(cases, N_ELEMENTS(cases));
}

static const struct {
	const char *text;
	int err;
	const char *documents, *error;
} bad_cases[] = {
	{"{\"a\":1}{", -EINVAL, "", "line 1: "},
	{"{\"a\":1}\n{\"b\":2}", -EINVAL, "", "line 2: "},
	{"{\"a\":1,\n\"b\":\ntru}", -EINVAL, "", "line 3: "},
	{"{\"b\":2", -EINVAL, "", "line 1: "},
	{"name: {{ include \"x\" . }}", -EINVAL, "", "line 1: looks like a template"},
	{"{{- if .Values.x }}\na: 1\n", -EINVAL, "", "line 1: looks like a template"},
	{"a: 1\n{{- if .Values.x }}\nb: 2\n", -EINVAL, "",
	 "line 2: looks like a template"},
	{"a:\n\tb: 1\n", -EINVAL, "", "line 2: a tab, where YAML needs spaces"},
	{"a: 1\n  \tb: 1\n", -EINVAL, "", "line 2: a tab"},
	{"{a: 1}", -EINVAL, "", "line 1: "},
	{"a: 1\n---\nb: [1\n", -EINVAL, "1:{\"a\":1}\n", "line 4: "},
	{"a: 1\n b: 2\n", -EINVAL, "", "line 2: "},
	{"a: *x", -EINVAL, "", "line 1: there is no such anchor"},
	{"a: &x 1\n---\nb: *x", -EINVAL, "1:{\"a\":1}\n", "line 3: "},
	{"a: &x [*x]", -EINVAL, "", "line 1: an anchor contains itself"},
	{"a: {<<: 1}", -EINVAL, "", "line 1: a merge key"},
	{"a: {<<: [1]}", -EINVAL, "", "line 1: a merge key"},
	{"~: 1", -EINVAL, "", "line 1: this key"},
	{"? [1]\n: 2", -EINVAL, "", "line 1: this key"},
	{"\"a\\0b\": 2", -EINVAL, "", "line 1: this key"},
	{"a: !!int x", -EINVAL, "", "line 1: this is not what its tag says"},
	{"a: \"\xff\"", -EINVAL, "", "line 1: "},
};

static void an_invalid_document_is_one_line_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad_cases); i++) {
		_cleanup_(freep) char *error = NULL;
		struct buf documents = BUF_INIT;
		const char *text = bad_cases[i].text;
		int rc = parse(text, strlen(text), &documents, &error);

		if (rc != bad_cases[i].err || !strstr(error, bad_cases[i].error))
			print_error("%s: %d %s\n", text, rc, error);
		assert_int_equal(rc, bad_cases[i].err);
		assert_string_equal(buf_string(&documents), bad_cases[i].documents);
		assert_ptr_equal(strstr(error, bad_cases[i].error), error);
		assert_null(strchr(error, '\n'));
		buf_fini(&documents);
	}
}

struct repeated {
	size_t n;
	struct buf keys;
};

static void note_repeated(void *data, const struct document *doc)
{
	struct repeated *r = data;

	r->n += doc->n_duplicates;
	for (size_t i = 0; i < doc->n_duplicates && i < DOCUMENT_MAX_DUPLICATES; i++)
		buf_printf(&r->keys, "%u:%s ", (unsigned)doc->duplicates[i].line,
			   doc->duplicates[i].key);
}

static void repeated_keys_are_reported_with_their_lines(void **state)
{
	static const struct {
		const char *text, *keys;
		size_t n;
	} cases[] = {
		{"a: 1\nb: {c: 1, d: 2,\n c: 3}\na: 4\n", "3:c 4:a ", 2},
		{"a: 1\n---\na: 2\n---\na: 3\na: 4\n", "6:a ", 1},
		{"x: &x {a: 1}\ny: {<<: *x, a: 2, <<: *x}\n", "", 0},
		{"- {a: 1}\n- {a: 1}", "", 0},
		{"1: a\n\"1\": b\n", "2:1 ", 1},
		{"{\"a\":1,\n\"a\":2,\n\"a\":3}", "2:a ", 1},
		{"x: {a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, a: 1, "
		 "a: "
		 "1}",
		 "1:a 1:a 1:a 1:a 1:a 1:a 1:a 1:a 1:a 1:a ", 11},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(freep) char *error = NULL;
		struct repeated r = {0};

		if (document_parse(cases[i].text, strlen(cases[i].text), note_repeated,
				   &r, &error) != 0)
			fail_msg("%s: %s", cases[i].text, error);
		assert_string_equal(buf_string(&r.keys), cases[i].keys);
		assert_int_equal(r.n, cases[i].n);
		buf_fini(&r.keys);
	}
}

static int parse_nested(const char *open, const char *close, const char *inside,
			size_t depth)
{
	_cleanup_(freep) char *error = NULL;
	struct buf text = BUF_INIT, documents = BUF_INIT;
	int rc;

	for (size_t i = 0; i < depth; i++)
		buf_add_string(&text, open);
	buf_add_string(&text, inside);
	for (size_t i = 0; i < depth; i++)
		buf_add_string(&text, close);
	rc = parse(text.data, text.len, &documents, &error);
	buf_fini(&text);
	buf_fini(&documents);
	return rc;
}

static void nesting_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(parse_nested("[", "]", "", DOCUMENT_MAX_DEPTH), 0);
	assert_int_equal(parse_nested("{\"a\":", "}", "1", DOCUMENT_MAX_DEPTH), 0);
	assert_int_equal(parse_nested("{\"a\":", "}", "1", 1000000), -E2BIG);
	assert_int_equal(parse_nested("- ", "", "1", DOCUMENT_MAX_DEPTH - 1), 0);
	assert_int_equal(parse_nested("- ", "", "1", 10000), -E2BIG);
}

/* Nine times nine times … : a few bytes that stand for a billion. */
static void aliases_cannot_expand_without_end(void **state)
{
	_cleanup_(freep) char *error = NULL;
	struct buf text = BUF_INIT, documents = BUF_INIT;

	(void)state;
	buf_add_string(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 10; i++) {
		buf_printf(&text, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			buf_printf(&text, "*a%d,", i - 1);
		buf_add_string(&text, "]\n");
	}
	assert_int_equal(parse(text.data, text.len, &documents, &error), -E2BIG);
	assert_non_null(strstr(error, "aliases expand to too much"));
	assert_int_equal(documents.len, 0);
	buf_fini(&text);
	buf_fini(&documents);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_read_unchanged),
		cmocka_unit_test(scalars_have_the_types_that_kubernetes_gives_them),
		cmocka_unit_test(documents_are_counted_and_empty_ones_left_out),
		cmocka_unit_test(anchors_and_merge_keys_are_followed),
		cmocka_unit_test(repeated_keys_are_reported_with_their_lines),
		cmocka_unit_test(an_invalid_document_is_one_line_with_its_place),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(aliases_cannot_expand_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
