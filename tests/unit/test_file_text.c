#include "watchers/decode/file_text.h"

#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"

struct folder {
	char path[64];
	char file[80], fifo[80];
};

static int set_up(void **state)
{
	static struct folder f;
	_cleanup_(fclosep) FILE *file = NULL;

	strcpy(f.path, "/tmp/sluice-text-XXXXXX");
	assert_non_null(mkdtemp(f.path));
	(void)snprintf(f.file, sizeof(f.file), "%s/file", f.path);
	(void)snprintf(f.fifo, sizeof(f.fifo), "%s/fifo", f.path);
	file = fopen(f.file, "we");
	assert_non_null(file);
	assert_true(fputs("0123456789", file) >= 0);
	assert_int_equal(mkfifo(f.fifo, 0600), 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	const struct folder *f = *state;

	(void)unlink(f->file);
	(void)unlink(f->fifo);
	return rmdir(f->path);
}

static void a_file_is_read_whole_up_to_a_limit(void **state)
{
	const struct folder *f = *state;
	_cleanup_(buf_fini) struct buf text = BUF_INIT, cut = BUF_INIT;

	assert_int_equal(file_text_read(f->file, FILE_TEXT_FILE, 10, &text), 0);
	assert_string_equal(buf_string(&text), "0123456789");
	assert_int_equal(file_text_read(f->file, FILE_TEXT_FILE, 9, &cut), -EFBIG);
	assert_int_equal(file_text_read(f->path, FILE_TEXT_FILE, 10, &cut), -EISDIR);
	assert_int_equal(file_text_read("/nonexistent/x", FILE_TEXT_PIPE, 9, &cut),
			 -ENOENT);
}

/* A blocking open() of it would never return. */
static void reading_a_fifo_without_a_writer_does_not_block(void **state)
{
	const struct folder *f = *state;
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	alarm(10);
	assert_int_equal(file_text_read(f->fifo, FILE_TEXT_FILE, 10, &text), -ESPIPE);
	assert_int_equal(file_text_read(f->fifo, FILE_TEXT_PIPE, 10, &text), 0);
	assert_int_equal(text.len, 0);
	alarm(0);
}

static void a_pipe_is_read_to_its_end_where_it_is_accepted(void **state)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	char path[32];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "piped", 5), 5);
	(void)close(ends[1]);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	assert_int_equal(file_text_read(path, FILE_TEXT_PIPE, 10, &text), 0);
	(void)close(ends[0]);
	assert_string_equal(buf_string(&text), "piped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_whole_up_to_a_limit),
		cmocka_unit_test(reading_a_fifo_without_a_writer_does_not_block),
		cmocka_unit_test(a_pipe_is_read_to_its_end_where_it_is_accepted),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
