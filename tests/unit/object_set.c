#include "tests/unit/object_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"
#include "watchers/decode/decode.h"
#include "watchers/files/manifest.h"

void object_set_fini(struct object_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		object_unref(set->objects[i]);
	free(set->objects);
	*set = (struct object_set){0};
}

void object_set_add(struct object_set *set, struct object *takes)
{
	set->objects = xgrow(set->objects, set->n, &set->cap, sizeof(struct object *));
	set->objects[set->n++] = takes;
}

static void take(void *data, struct object *takes)
{
	object_set_add(data, takes);
}

void object_set_read(struct object_set *set, const char *yaml)
{
	_cleanup_(freep) char *error = NULL;
	struct manifest m;
	int rc;

	manifest_init(&m, "test", NULL, take, set);
	assert_int_equal(manifest_feed(&m, yaml, strlen(yaml)), 0);
	while ((rc = manifest_finish(&m, &error)) == 1)
		;
	assert_int_equal(rc, 0);
	manifest_fini(&m);
}

void object_set_read_json(struct object_set *set, const char *text)
{
	json_auto_t *json = json_loads(text, 0, NULL);
	struct decoded decoded = {.n = 0};

	assert_int_equal(decode_object(json, "", NULL, &decoded), 0);
	assert_int_equal(decoded.n, 1);
	object_set_add(set, decoded.objects[0]);
}

int object_set_save(const struct object_set *set, const char *dir,
		    const struct saved_source *source, int64_t now_us)
{
	size_t len;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return -errno;
	return saved_objects_write(dir, source, now_us, set->objects, set->n, &len);
}
