/*
 * One event is one line, whatever bytes are in it, from however many threads.
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "tests/unit/capture.h"

static char *text; /* what was logged */

static char *captured(void)
{
	text = capture_end();
	return text;
}

static int reset(void **state)
{
	(void)state;
	log_set_json(false);
	log_set_verbosity(0);
	return 0;
}

static void a_log_line_has_time_level_and_message(void **state)
{
	int year, month, day, hour, minute, second, milli, end = 0;

	(void)state;
	capture_start();
	log_info("sync: %d services", 7);
	(void)sscanf(captured(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ info  sync: 7 services%n",
		     &year, &month, &day, &hour, &minute, &second, &milli, &end);
	assert_int_equal(end, strlen("2026-11-22T10:11:12.345Z info  sync: 7 services"));
	assert_string_equal(text + end, "\n");
	assert_true(year >= 2024);
}

static void debug_lines_are_logged_from_verbosity_two(void **state)
{
	(void)state;
	capture_start();
	log_set_verbosity(1);
	assert_false(log_is_debug());
	log_debug("hidden");
	log_set_verbosity(2);
	assert_true(log_is_debug());
	log_debug("shown");
	(void)captured();
	assert_null(strstr(text, "hidden"));
	assert_non_null(strstr(text, " debug shown\n"));
}

static void a_message_cannot_fake_another_line(void **state)
{
	(void)state;
	capture_start();
	log_warn("name %s", "a\nb\x1b[31m\xff\xc3\xa9");
	assert_non_null(
		strstr(captured(), " warn  name a\\nb\\x1b[31m\xef\xbf\xbd\xc3\xa9\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static const struct {
	const char *message, *json;
} json_cases[] = {
	{"plain", "plain"},
	{"\"quoted\\\"", "\\\"quoted\\\\\\\""},
	{"tab\tnew\nline\x01\x7f", "tab\\u0009new\\nline\\u0001\\u007f"},
	{"é€😀", "é€😀"},
	{"\xc3", "\\ufffd"},			   /* cut */
	{"\xc0\xaf", "\\ufffd\\ufffd"},		   /* overlong */
	{"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"}, /* surrogate */
	{"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
	{"\xf0\x9f\x98x", "\\ufffd\\ufffd\\ufffdx"},
};

static void json_log_lines_are_escaped(void **state)
{
	(void)state;
	log_set_json(true);
	for (size_t i = 0; i < N_ELEMENTS(json_cases); i++) {
		char expected[256];

		capture_start();
		log_err("%s", json_cases[i].message);
		(void)snprintf(expected, sizeof(expected),
			       "Z\",\"level\":\"error\",\"msg\":\"%s\"}\n",
			       json_cases[i].json);
		assert_memory_equal(captured(), "{\"ts\":\"2", 8);
		assert_string_equal(strchr(text, 'Z'), expected);
	}
}

static void a_long_message_is_cut_and_still_one_line(void **state)
{
	static char longest[100000];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	capture_start();
	log_info("%s", longest);
	assert_in_range(strlen(captured()), 1000, 10000);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

/* Right-to-left override, a C1 control, a line separator: none reaches a terminal. */
static void characters_that_move_or_hide_text_are_escaped(void **state)
{
	(void)state;
	capture_start();
	log_info("a\xe2\x80\xae"
		 "b\xc2\x9b"
		 "c\xe2\x80\xa8"
		 "d\xe2\x81\xa6"
		 "e");
	assert_non_null(strstr(captured(), " a\\u202eb\\u009bc\\u2028d\\u2066e\n"));
}

static void a_reader_that_does_not_read_costs_lines_and_does_not_block(void **state)
{
	int pipe_fds[2], saved = dup(STDERR_FILENO);
	static char bytes[1 << 20];
	ssize_t n, len = 0;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(dup2(pipe_fds[1], STDERR_FILENO), STDERR_FILENO);
	(void)alarm(60); /* ends a program that hangs */
	for (int i = 0; i < 5000; i++)
		log_info("line %d, which is long enough to fill a pipe in a while", i);
	assert_int_equal(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(pipe_fds[0], bytes + len, sizeof(bytes) - (size_t)len)) > 0)
		len += n;
	log_info("the reader is back");
	while ((n = read(pipe_fds[0], bytes + len, sizeof(bytes) - (size_t)len)) > 0)
		len += n;
	(void)alarm(0);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	bytes[len] = '\0';
	assert_non_null(strstr(bytes, "line 0, "));
	assert_null(strstr(bytes, "line 4999, "));
	assert_non_null(strstr(bytes, " lines were lost, nothing read them\n"));
	assert_non_null(strstr(bytes, "the reader is back\n"));
}

static void logging_keeps_errno(void **state)
{
	(void)state;
	capture_start();
	errno = ENOTTY;
	log_info("x");
	assert_int_equal(errno, ENOTTY);
	(void)captured();
}

static void *chatter(void *data)
{
	for (int i = 0; i < 500; i++)
		log_info("thread %s says the same thing all the time",
			 (const char *)data);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	pthread_t threads[N_ELEMENTS(names)];
	size_t n_lines = 0;

	(void)state;
	capture_start();
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, chatter,
						(void *)(uintptr_t)names[i]),
				 0);
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (char *rest = captured(), *line; (line = strsep(&rest, "\n")) && *line;) {
		assert_int_equal(strlen(line),
				 strlen("2026-11-22T10:11:12.345Z info  "
					"thread a says the same thing all the time"));
		n_lines++;
	}
	assert_int_equal(n_lines, 500 * N_ELEMENTS(names));
}

static void json_log_lines_have_the_fields_that_are_known(void **state)
{
	static const struct log_fields all = {.service = "ns/web:\"http\"",
					      .family = "IPv4",
					      .reason = "NoEndpoints",
					      .duration_ms = 1.5};
	static const struct log_fields some = {.reason = "Ready"};
	const char *fields;

	(void)state;
	log_set_json(true);
	capture_start();
	log_line_with(LOG_LEVEL_INFO, &all, "one");
	log_line_with(LOG_LEVEL_WARN, &some, "two");
	fields = strstr(captured(), "\"level\"");
	assert_string_equal(strndupa(fields, strcspn(fields, "\n")),
			    "\"level\":\"info\",\"msg\":\"one\",\"service\":"
			    "\"ns/web:\\\"http\\\"\",\"family\":\"IPv4\",\"reason\":"
			    "\"NoEndpoints\",\"duration_ms\":1.500}");
	fields = strstr(fields + 1, "\"level\"");
	assert_string_equal(fields, "\"level\":\"warn\",\"msg\":\"two\",\"reason\":"
				    "\"Ready\"}\n");
}

static void text_log_lines_have_no_fields(void **state)
{
	static const struct log_fields some = {.reason = "Ready"};

	(void)state;
	capture_start();
	log_line_with(LOG_LEVEL_WARN, &some, "two");
	assert_string_equal(captured() + strlen("2026-11-22T10:11:12.345Z"),
			    " warn  two\n");
}

/* Sets JOURNAL_STREAM as systemd does, for standard error plus the difference. */
static void set_stream(unsigned difference)
{
	_cleanup_(freep) char *stream = NULL;
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	assert_true(asprintf(&stream, "%llu:%llu", (unsigned long long)st.st_dev,
			     (unsigned long long)st.st_ino + difference) > 0);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_detect_journal();
}

static void lines_to_the_journal_start_with_their_priority(void **state)
{
	(void)state;
	log_set_verbosity(2);
	capture_start();
	set_stream(0);
	log_err("a");
	log_warn("b");
	log_info("c");
	log_debug("d");
	set_stream(1); /* standard error leads elsewhere */
	log_err("e");
	(void)captured();
	(void)unsetenv("JOURNAL_STREAM");
	log_detect_journal();
	assert_memory_equal(text, "<3>2", 4);
	assert_non_null(strstr(text, "\n<4>2"));
	assert_non_null(strstr(text, "\n<6>2"));
	assert_non_null(strstr(text, "\n<7>2"));
	assert_int_equal(capture_count(text, "<"), 4);
	assert_non_null(strstr(text, "error e\n"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_log_line_has_time_level_and_message, reset),
		cmocka_unit_test_setup(debug_lines_are_logged_from_verbosity_two, reset),
		cmocka_unit_test_setup(a_message_cannot_fake_another_line, reset),
		cmocka_unit_test_setup(json_log_lines_are_escaped, reset),
		cmocka_unit_test_setup(a_long_message_is_cut_and_still_one_line, reset),
		cmocka_unit_test_setup(characters_that_move_or_hide_text_are_escaped,
				       reset),
		cmocka_unit_test_setup(
			a_reader_that_does_not_read_costs_lines_and_does_not_block,
			reset),
		cmocka_unit_test_setup(json_log_lines_have_the_fields_that_are_known,
				       reset),
		cmocka_unit_test_setup(text_log_lines_have_no_fields, reset),
		cmocka_unit_test_setup(lines_to_the_journal_start_with_their_priority,
				       reset),
		cmocka_unit_test_setup(logging_keeps_errno, reset),
		cmocka_unit_test_setup(lines_of_threads_do_not_mix, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
