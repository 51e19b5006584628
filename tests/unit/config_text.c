#include "tests/unit/config_text.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config_file.h"
#include "tests/test.h"

void config_text_load(struct config *c, const char *text)
{
	_cleanup_(freep) char *error = NULL;

	config_init(c);
	assert_int_equal(config_file_parse(text, strlen(text), "test", c, &error), 0);
	assert_null(error);
	config_complete(c);
}

char *config_text_field(struct config *c, const char *path)
{
	const struct config_field *f = config_field_find(path);
	struct buf text = BUF_INIT;

	assert_non_null(f);
	value_format(f->kind, config_slot(c, f), &text);
	return text.data ? buf_take(&text) : xstrdup("");
}

void config_text_expect(struct config *c, const char *path, const char *expected)
{
	_cleanup_(freep) char *text = config_text_field(c, path);

	assert_string_equal(text, expected);
}
