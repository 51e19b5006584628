/*
 * Columns are as wide as their cells, and only terminals get colours.
 */
#include "tests/test.h"

#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proxy/commands/table.h"

static void add_row(struct table *t, const char *name, const char *state)
{
	table_add(t, name);
	table_add(t, state);
	table_add(t, "");
}

static struct table table_of(bool is_coloured)
{
	struct table t = {
		.n_columns = 3,
		.has_headings = true,
		.is_coloured = is_coloured,
		.state_column = 1,
	};

	table_add(&t, "NAME");
	table_add(&t, "STATE");
	table_add(&t, "AGE");
	add_row(&t, "a", "ready");
	add_row(&t, "long-name", "unused");
	return t;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	struct table t = table_of(false);
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	(void)state;
	table_print(&t, &out);
	assert_string_equal(buf_string(&out), "NAME        STATE    AGE\n"
					      "a           ready    -\n"
					      "long-name   unused   -\n");
	table_fini(&t);
}

static void rows_that_follow_have_the_same_columns_and_no_heading(void **state)
{
	struct table t = table_of(false);
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	(void)state;
	table_print(&t, &out);
	buf_clear(&out);
	table_print(&t, &out);
	assert_string_equal(buf_string(&out), "");
	add_row(&t, "b", "down");
	table_print(&t, &out);
	assert_string_equal(buf_string(&out), "b           down     -\n");
	table_fini(&t);
}

static void colours_mark_the_heading_and_known_states(void **state)
{
	struct table t = table_of(true);
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	(void)state;
	table_print(&t, &out);
	assert_string_equal(
		buf_string(&out),
		"\033[1mNAME\033[0m        \033[1mSTATE\033[0m    \033[1mAGE\033[0m\n"
		"a           \033[32mready\033[0m    -\n"
		"long-name   unused   -\n");
	table_fini(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(rows_that_follow_have_the_same_columns_and_no_heading),
		cmocka_unit_test(colours_mark_the_heading_and_known_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
