#include "watchers/decode/file_text.h"

#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/unit/world.h"

struct folder {
	struct world world;
	char *file, *fifo;
};

static int set_up(void **state)
{
	static struct folder f;

	world_open(&f.world);
	world_write(&f.world, "file", "0123456789");
	world_make_fifo(&f.world, "fifo");
	f.file = world_path(&f.world, "file");
	f.fifo = world_path(&f.world, "fifo");
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct folder *f = *state;

	free(f->file);
	free(f->fifo);
	world_close(&f->world);
	return 0;
}

static void a_file_is_read_whole_up_to_a_limit(void **state)
{
	const struct folder *f = *state;
	_cleanup_(buf_fini) struct buf text = BUF_INIT, cut = BUF_INIT;

	assert_int_equal(file_text_read(f->file, FILE_TEXT_FILE, 10, &text), 0);
	assert_string_equal(buf_string(&text), "0123456789");
	assert_int_equal(file_text_read(f->file, FILE_TEXT_FILE, 9, &cut), -EFBIG);
	assert_int_equal(file_text_read(f->world.folder, FILE_TEXT_FILE, 10, &cut),
			 -EISDIR);
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
