/*
 * Writing the configuration: what is in the file, and what happens beside it.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/config/config_file.h"
#include "proxy/config/config_json.h"

/* A link beside it, under the name that a writer may use for a moment, leads to another file. */
static void writing_a_file_leaves_others_alone(void **state)
{
	char folder[] = "/tmp/sluice-config-XXXXXX", bytes[16] = "";
	_cleanup_(freep) char *path = NULL, *link = NULL, *victim = NULL, *error = NULL;
	_cleanup_(fclosep) FILE *f = NULL;
	struct config c;

	(void)state;
	assert_non_null(mkdtemp(folder));
	path = xasprintf("%s/w.yaml", folder);
	link = xasprintf("%s.tmp", path);
	victim = xasprintf("%s/victim", folder);
	f = fopen(victim, "w+e");
	assert_non_null(f);
	assert_true(fputs("precious", f) >= 0 && fflush(f) == 0);
	assert_int_equal(symlink(victim, link), 0);
	config_init(&c);
	assert_int_equal(config_file_write(path, &c, &error), 0);
	config_fini(&c);
	rewind(f);
	assert_non_null(fgets(bytes, sizeof(bytes), f));
	assert_string_equal(bytes, "precious");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(unlink(victim), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
}

static void a_number_beyond_every_integer_stays_a_number(void **state)
{
	struct config c;
	json_t *json;

	(void)state;
	config_init(&c);
	c.qps = 1e300;
	json = config_to_json(&c);
	assert_true(
		json_real_value(json_object_get(json_object_get(json, "clientConnection"),
						"qps")) == 1e300);
	json_decref(json);
	config_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writing_a_file_leaves_others_alone),
		cmocka_unit_test(a_number_beyond_every_integer_stays_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
