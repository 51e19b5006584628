/*
 * A stream of JSON comes out value by value, whatever pieces it comes in.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/json_split.h"

/* The parts, as text: "I<bytes>" for an item, "V<bytes>" for a value, each on a line; "~" after one that is cut. */
struct tape {
	struct buf text;
	uint64_t last_line, last_items;
	int answer;
};

static int note(void *data, const struct json_split_part *part)
{
	struct tape *tape = data;

	buf_add_char(&tape->text, part->type == JSON_SPLIT_ITEM ? 'I' : 'V');
	buf_add(&tape->text, part->bytes, part->len);
	buf_add_string(&tape->text, part->is_cut ? "~\n" : "\n");
	tape->last_line = part->line;
	tape->last_items = part->items;
	return tape->answer;
}

static const struct json_split_options items = {.cut_items = true,
						.skip_separators = true,
						.max_len = 1000,
						.max_depth = 8};
static const struct json_split_options values = {.max_len = 1000, .max_depth = 8};

static const struct json_split_options cutting = {.cut_items = true,
						  .cut_oversize = true,
						  .max_len = 20,
						  .max_depth = 4};

/* In pieces of that size (the bytes of each copied, so that reading beyond is seen). */
static int split(const struct json_split_options *options, const char *text, size_t piece,
		 struct tape *tape)
{
	struct json_split s;
	size_t len = strlen(text);
	int rc = 0;

	json_split_init(&s, options, note, tape);
	for (size_t at = 0; at < len && rc == 0; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		_cleanup_(freep) char *bytes = xmalloc(n);

		memcpy(bytes, text + at, n);
		rc = json_split_feed(&s, bytes, n);
	}
	if (rc == 0)
		rc = json_split_finish(&s);
	json_split_fini(&s);
	return rc;
}

static const struct {
	const struct json_split_options *options;
	const char *text;
	int err;
	const char *parts;
} cases[] = {
	{&values, "", 0, ""},
	{&values, " \n\t ", 0, ""},
	{&values, "{\"a\":1}{\"b\":2}", 0, "V{\"a\":1}\nV{\"b\":2}\n"},
	{&values, "{\"a\":1}\n\n{\"b\":[{},{}]} ", 0, "V{\"a\":1}\nV{\"b\":[{},{}]}\n"},
	{&values, "{\"items\":[1,2]}", 0, "V{\"items\":[1,2]}\n"},
	{&values, "1 true\"x\"[null]-5", 0, "V1\nVtrue\nV\"x\"\nV[null]\nV-5\n"},
	{&values, "{\"a\":\"}{\\\"]\"}[]", 0, "V{\"a\":\"}{\\\"]\"}\nV[]\n"},
	{&values, "{\"a\":\"\\\\\"}{}", 0, "V{\"a\":\"\\\\\"}\nV{}\n"},
	{&values, "{\"a\":1", -EINVAL, ""},
	{&values, "{}{\"a", -EINVAL, "V{}\n"},
	{&values, "{}}", -EINVAL, "V{}\n"},
	{&values, "{},{}", -EINVAL, "V{}\n"},
	{&values, "---\n{}", 0, "V---\nV{}\n"}, /* the parser's business */
	{&values, "[[[[[[[[]]]]]]]]", 0, "V[[[[[[[[]]]]]]]]\n"},
	{&values, "[[[[[[[[[]]]]]]]]]", -E2BIG, ""},

	{&items, "{\"kind\":\"List\",\"items\":[{\"a\":1}, {\"b\":[2]}],\"x\":3}", 0,
	 "I{\"a\":1}\nI{\"b\":[2]}\nV{\"kind\":\"List\",\"items\":[],\"x\":3}\n"},
	{&items, "{\"items\":[]}", 0, "V{\"items\":[]}\n"},
	{&items, "{\"items\": [ ] }", 0, "V{\"items\":[]}\n"},
	{&items, "{\"items\":[1,\"x\",null]}", 0, "I1\nI\"x\"\nInull\nV{\"items\":[]}\n"},
	{&items, "{\"items\":null}", 0, "V{\"items\":null}\n"},
	{&items, "{\"items\":{\"items\":[1]}}", 0, "V{\"items\":{\"items\":[1]}}\n"},
	{&items, "{\"spec\":{\"items\":[1]}}", 0, "V{\"spec\":{\"items\":[1]}}\n"},
	{&items, "{\"a\\\"items\":[1]}", 0, "V{\"a\\\"items\":[1]}\n"},
	{&items, "{\"items\":[1],\"items\":[2]}", 0,
	 "I1\nI2\nV{\"items\":[],\"items\":[]}\n"},
	{&items, "[{\"items\":[1]}]", 0, "V[{\"items\":[1]}]\n"},
	{&items, "{\"a\":1}\n---\n{\"items\":[2]}", 0,
	 "V{\"a\":1}\nI2\nV{\"items\":[]}\n"},
	{&items, "---\n{}\n---\n", 0, "V{}\n"},
	{&items, "{}\n--\n{}", -EINVAL, "V{}\n"},
	{&items, "{}\n----\n{}", -EINVAL, "V{}\n"},
	{&items, "{}---{}", -EINVAL, "V{}\n"},
	{&items, "{\"items\":[1 2]}", -EINVAL, "I1\n"},
	{&items, "{\"items\":[1,,2]}", -EINVAL, "I1\n"},
	{&items, "{\"items\":[1,]}", -EINVAL, "I1\n"},
	{&items, "{\"items\":[,1]}", -EINVAL, ""},
	/* an invalid value needs no search for its end */
	{&items, "{\"items\":[1,x", -EINVAL, "I1\n"},
	{&items, "{\"items\":[1,\x01", -EINVAL, "I1\n"},
	{&items, "{\"a\":+", -EINVAL, ""},
	{&items, "{\"items\":[1", -EINVAL, ""},
	{&items, "{\"items\":[1]", -EINVAL, "I1\n"},
	{&items, "{\"items\" [1]}", -EINVAL, ""},
	{&items, "{items:[1]}", -EINVAL, ""},
	{&items, "{\"items\":[[[[[[[1]]]]]]]}", 0, "I[[[[[[1]]]]]]\nV{\"items\":[]}\n"},
	{&items, "{\"items\":[[[[[[[[1]]]]]]]]}", -E2BIG, ""},
	{&items, "{\"a\":[[[[[[[1]]]]]]]}", 0, "V{\"a\":[[[[[[[1]]]]]]]}\n"},
	{&items, "{\"a\":[[[[[[[[1]]]]]]]]}", -E2BIG, ""},

	{&cutting, "{\"items\":[1,[[[0]]],{\"a\":2}]}", 0,
	 "I1\nI[[[0]]]~\nI{\"a\":2}\nV{\"items\":[]}\n"},
	{&cutting, "{\"items\":[\"abcdefghijklmnopqrs\",2]}", 0,
	 "I\"abcdefghijklmnopqrs\"~\nI2\nV{\"items\":[]}\n"},
	/* the last item: the rest is whole */
	{&cutting, "{\"items\":[1,[[[0]]]]}", 0, "I1\nI[[[0]]]~\nV{\"items\":[]}\n"},
	{&cutting, "[[[[\"]\",[7]]]]][]", 0, "V[[[[\"]\",[7]]]]]~\nV[]\n"},
	{&cutting, "{\"a\":[[[[1]]]]}", -E2BIG,
	 ""}, /* the text around the items is needed */
};

static void parts_do_not_depend_on_how_the_stream_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		for (size_t piece = 1; piece <= strlen(cases[i].text) + 1; piece++) {
			struct tape tape = {0};
			int rc = split(cases[i].options, cases[i].text, piece, &tape);

			if (rc != cases[i].err ||
			    strcmp(buf_string(&tape.text), cases[i].parts) != 0)
				print_error("case %zu (%s), cut at every %zu: %d, %s\n",
					    i, cases[i].text, piece, rc,
					    buf_string(&tape.text));
			assert_int_equal(rc, cases[i].err);
			assert_string_equal(buf_string(&tape.text), cases[i].parts);
			buf_fini(&tape.text);
		}
	}
}

static void lines_and_numbers_of_items_are_reported(void **state)
{
	struct tape tape = {0};

	(void)state;
	assert_int_equal(split(&items, "\n{\n\"items\": [\n{\n},\n\n[\n]\n", 3, &tape),
			 -EINVAL);
	assert_int_equal(tape.last_line, 7);
	assert_int_equal(tape.last_items, 2);
	assert_int_equal(split(&items, "{}\n\n{\"items\":[1,\n2\n]}", 100, &tape), 0);
	assert_int_equal(tape.last_line, 3);
	assert_int_equal(tape.last_items, 2);
	buf_fini(&tape.text);
}

static void an_error_of_the_callback_ends_the_parsing(void **state)
{
	struct tape tape = {.answer = -ECANCELED};

	(void)state;
	assert_int_equal(split(&values, "{}{}{}", 100, &tape), -ECANCELED);
	assert_string_equal(buf_string(&tape.text), "V{}\n");
	buf_fini(&tape.text);
}

static void values_longer_than_the_limit_are_refused(void **state)
{
	static const struct json_split_options small = {.cut_items = true,
							.max_len = 10,
							.max_depth = 8};
	static const struct {
		const char *text;
		int err;
	} long_cases[] = {
		{"[\"345678\"]", 0},
		{"[\"3456789\"]", -E2BIG},
		{"{\"items\":[12345678901,", -E2BIG},
		{"{\"\":[\"7\"]}", 0},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(long_cases); i++) {
		for (size_t piece = 1; piece < 20; piece++) {
			struct tape tape = {0};

			assert_int_equal(split(&small, long_cases[i].text, piece, &tape),
					 long_cases[i].err);
			buf_fini(&tape.text);
		}
	}
}

static void a_value_that_is_cut_is_not_kept_and_ends(void **state)
{
	_cleanup_(freep) char *piece = xmalloc(1u << 20);
	struct tape tape = {0};
	struct json_split s;

	(void)state;
	memset(piece, 'a', 1u << 20);
	json_split_init(&s, &cutting, note, &tape);
	assert_int_equal(json_split_feed(&s, "{\"items\":[\"", 11), 0);
	for (int i = 0; i < 15; i++)
		assert_int_equal(json_split_feed(&s, piece, 1u << 20), 0);
	assert_true(s.item.cap <= 8192);
	assert_int_equal(json_split_feed(&s, "\",", 2), 0);
	assert_in_range(tape.text.len, 100, 8192);
	/* 16 MiB are the limit. */
	assert_int_equal(json_split_feed(&s, "\"", 1), 0);
	for (int i = 0; i < 17; i++)
		assert_int_equal(json_split_feed(&s, piece, 1u << 20),
				 i < 16 ? 0 : -E2BIG);
	json_split_fini(&s);
	buf_fini(&tape.text);
}

static struct json_split *asked;

static int ask_head(void *data, const struct json_split_part *part)
{
	if (part->type == JSON_SPLIT_ITEM && part->items == 1)
		*(char **)data = json_split_head(asked);
	return 0;
}

static void the_head_of_a_list_is_passed_before_its_first_item(void **state)
{
	static const char text[] = "{\"kind\":\"ServiceList\",\"metadata\":{\"a\":[1]}, "
				   "\"items\":[{},{}],\"z\":1}";
	_cleanup_(freep) char *head = NULL;
	struct json_split s;

	(void)state;
	json_split_init(&s, &items, ask_head, &head);
	asked = &s;
	assert_int_equal(json_split_feed(&s, text, strlen(text)), 0);
	assert_false(json_split_is_inside(&s));
	json_split_fini(&s);
	assert_string_equal(
		head, "{\"kind\":\"ServiceList\",\"metadata\":{\"a\":[1]},\"items\":[]}");
}

static void random_text_gives_equal_parts_when_fed_byte_by_byte(void **state)
{
	static const char alphabet[] = "{}[]\",:\\ \n1ati-";
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct tape whole = {0}, cut = {0};
		char text[24];
		size_t len = (size_t)rand_r(&seed) % (sizeof(text) - 1);
		int rc;

		for (size_t i = 0; i < len; i++)
			text[i] =
				alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
		text[len] = '\0';
		rc = split(&items, text, 100, &whole);
		assert_int_equal(split(&items, text, 1, &cut), rc);
		assert_string_equal(buf_string(&cut.text), buf_string(&whole.text));
		buf_fini(&whole.text);
		buf_fini(&cut.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_do_not_depend_on_how_the_stream_is_cut),
		cmocka_unit_test(lines_and_numbers_of_items_are_reported),
		cmocka_unit_test(an_error_of_the_callback_ends_the_parsing),
		cmocka_unit_test(values_longer_than_the_limit_are_refused),
		cmocka_unit_test(a_value_that_is_cut_is_not_kept_and_ends),
		cmocka_unit_test(the_head_of_a_list_is_passed_before_its_first_item),
		cmocka_unit_test(random_text_gives_equal_parts_when_fed_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
