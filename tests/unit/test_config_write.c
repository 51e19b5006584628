/*
 * Writing the configuration: the text, and files beside it.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/config/config.h"
#include "proxy/config/config_file.h"
#include "proxy/config/config_json.h"
#include "tests/unit/world.h"

/* A temporary name beside the file may be a link to another file. */
static void writing_a_file_leaves_others_alone(void **state)
{
	_cleanup_(freep) char *path = NULL, *victim = NULL, *error = NULL, *text = NULL;
	struct config c;
	struct world w;

	(void)state;
	world_open(&w);
	path = world_path(&w, "w.yaml");
	victim = world_path(&w, "victim");
	world_write(&w, "victim", "precious");
	world_link(&w, victim, "w.yaml.tmp");
	config_init(&c);
	assert_int_equal(config_file_write(path, &c, &error), 0);
	config_fini(&c);
	text = world_read(&w, "victim");
	assert_string_equal(text, "precious");
	world_remove(&w, "w.yaml.tmp");
	world_remove(&w, "victim");
	world_remove(&w, "w.yaml");
	assert_int_equal(rmdir(w.folder), 0); /* nothing else was left in it */
	assert_int_equal(mkdir(w.folder, 0700), 0);
	world_close(&w);
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
