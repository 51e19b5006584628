/*
 * A manifest fed in pieces of any size comes to the same objects, and what is
 * invalid in it is reported with its place.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/unit/object_text.h"
#include "watchers/files/manifest.h"

static void take(void *data, struct object *takes)
{
	buf_printf(data, "%s ", takes->name);
	object_unref(takes);
}

struct result {
	struct buf names, rejected;
	char *error;
	int err;
};

static void result_fini(struct result *r)
{
	buf_fini(&r->names);
	buf_fini(&r->rejected);
	free(r->error);
}

static void run(const char *text, size_t piece, struct result *ret)
{
	struct reject reject = {.call = object_text_note, .data = &ret->rejected};
	size_t len = strlen(text);
	struct manifest m;
	int rc = 0;

	*ret = (struct result){.error = NULL};
	manifest_init(&m, "a.yaml", &reject, take, &ret->names);
	for (size_t at = 0; at < len && rc == 0; at += piece)
		rc = manifest_feed(&m, text + at, len - at < piece ? len - at : piece);
	while ((ret->err = manifest_finish(&m, &ret->error)) == 1)
		;
	assert_true(rc == 0 || rc == ret->err);
	manifest_fini(&m);
}

#define NODE(name)                                                                       \
	"{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"" name "\"}}"
#define BARE(name) "{\"metadata\":{\"name\":\"" name "\"}}"

static const struct {
	const char *text;
	int err;
	const char *names, *rejected, *error;
} cases[] = {
	{"", 0, "", "", NULL},
	{NODE("a"), 0, "a ", "", NULL},
	{NODE("a") NODE("b") "\n---\n" NODE("c"), 0, "a b c ", "", NULL},
	{"apiVersion: v1\nkind: Node\nmetadata: {name: a}\n---\n" NODE("b"), 0, "a b ",
	 "", NULL},
	{"{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[" NODE("a") "," NODE(
		 "b") "]}",
	 0, "a b ", "", NULL},
	/* kubectl's order */
	{"{\"apiVersion\":\"v1\",\"items\":[" NODE("a") "],\"kind\":\"List\"}", 0, "a ",
	 "", NULL},
	{"{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"items\":[" BARE("a") "," BARE(
		 "b") "]}" NODE("c"),
	 0, "a b c ", "", NULL},
	{"{\"items\":[" BARE("a") "],\"kind\":\"NodeList\",\"apiVersion\":\"v1\"}", 0, "",
	 "a.yaml, item 1:  : is not a Kubernetes object: it has no kind\n", NULL},
	{"{\"kind\":\"Basket\",\"apiVersion\":\"v1\",\"items\":[" NODE("a") "]}", 0, "",
	 "", NULL},
	{"{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"items\":null}", 0, "", "", NULL},
	{"null", 0, "", "", NULL},
	{"[" NODE("a") "]", 0, "",
	 "a.yaml:  : is not a Kubernetes object: it has no kind\n", NULL},
	{NODE("a") "\n{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"items\":[" BARE(
		 "b") ",{}]}",
	 0, "a b ", "a.yaml, document 2, item 2: Node : metadata.name: is missing\n",
	 NULL},
	{"kind: Node\napiVersion: v1\nmetadata: {name: a}\n---\nkind: Node\n", 0, "a ",
	 "a.yaml, document 2:  : is not a Kubernetes object: it has no apiVersion\n",
	 NULL},
	{"{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"items\":[\n" BARE(
		 "a") ",\n{\n\"x\":y}]}",
	 -EINVAL, "a ", "", "line 4: "},
	/* JSON, but not a number in range: that item alone */
	{"{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[" NODE(
		 "a") ",\n{\"x\":1000000000000000000000}," NODE("b") "]}",
	 0, "a b ", "a.yaml, item 2:  : line 2: too big integer\n", NULL},
	{NODE("a") "{\"x\":1e999}" NODE("b"), 0, "a b ",
	 "a.yaml, document 2:  : line 1: real number overflow near '1e999'\n", NULL},
	{"apiVersion: v1\nkind: Node\nmetadata:\n  name: b\n  name: a\n", 0, "a ",
	 "a.yaml: Node a: line 5: the key \"name\" is repeated; the last one counts\n",
	 NULL},
	{NODE("a") "\n\n]", -EINVAL, "a ", "", "line 3: "},
	{"{\"kind\":\"List\",\"items\":[" NODE("a"), -EINVAL, "a ", "", "line 1: "},
	{"a: [\n", -EINVAL, "", "", "line "},
};

static void objects_do_not_depend_on_the_size_of_the_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		for (size_t piece = 1; piece <= strlen(cases[i].text) + 1; piece++) {
			_cleanup_(result_fini) struct result r;

			run(cases[i].text, piece, &r);
			if (r.err != cases[i].err)
				print_error("%s: %s\n", cases[i].text, r.error);
			assert_int_equal(r.err, cases[i].err);
			assert_string_equal(buf_string(&r.names), cases[i].names);
			assert_string_equal(buf_string(&r.rejected), cases[i].rejected);
			if (cases[i].error)
				assert_ptr_equal(strstr(r.error, cases[i].error),
						 r.error);
			else
				assert_null(r.error);
		}
	}
}

/* Gigabytes of nothing, say: not even the first of them is kept. */
static void a_document_declared_too_long_is_refused_before_it_is_read(void **state)
{
	static const char zeros[4096];
	_cleanup_(freep) char *error = NULL;
	struct manifest m;

	(void)state;
	manifest_init(&m, "a.yaml", NULL, take, NULL);
	manifest_expect(&m, (size_t)2 << 30);
	assert_int_equal(manifest_feed(&m, zeros, sizeof(zeros)), -E2BIG);
	assert_int_equal(m.text.len, 0);
	assert_int_equal(manifest_finish(&m, &error), -E2BIG);
	assert_non_null(
		strstr(error, "has 2147483648 bytes of YAML; the limit is 33554432"));
	manifest_fini(&m);
}

/* JSON is recognized by its first byte after a byte order mark. */
static void a_byte_order_mark_is_skipped(void **state)
{
	static const char *const texts[] = {
		"\xef\xbb\xbf" NODE("a"),
		"\xef\xbb\xbf"
		"apiVersion: v1\nkind: Node\nmetadata: {name: a}\n",
		"\n \n" NODE("a"),
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		for (size_t piece = 1; piece < 100; piece += 98) {
			_cleanup_(result_fini) struct result r;

			run(texts[i], piece, &r);
			assert_int_equal(r.err, 0);
			assert_string_equal(buf_string(&r.names), "a ");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_do_not_depend_on_the_size_of_the_pieces),
		cmocka_unit_test(
			a_document_declared_too_long_is_refused_before_it_is_read),
		cmocka_unit_test(a_byte_order_mark_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
