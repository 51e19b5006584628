/*
 * Any JSON as a Kubernetes object or a List of them.  Whatever comes out is
 * equal to itself, and to what a second decoding gives.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/mem.h"
#include "watchers/decode/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct objects {
	struct object **items;
	size_t n, cap;
};

static void take(void *data, struct object *takes)
{
	struct objects *list = data;

	list->items = xgrow(list->items, list->n, &list->cap, sizeof(*list->items));
	list->items[list->n++] = takes;
}

static void look(void *data, const struct rejection *r)
{
	(void)data;
	assert(r->source && r->kind && r->ns && r->name && r->field && *r->reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct reject reject = {.call = look};
	json_t *json = json_loadb((const char *)bytes, len,
				  JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	struct objects once = {0}, twice = {0};

	(void)decode_any(json, "fuzz", &reject, take, &once);
	(void)decode_any(json, "fuzz", NULL, take, &twice);
	json_decref(json);
	assert(once.n == twice.n);
	for (size_t i = 0; i < once.n; i++) {
		assert(object_equal(once.items[i], once.items[i]));
		assert(object_equal(once.items[i], twice.items[i]));
		object_unref(once.items[i]);
		object_unref(twice.items[i]);
	}
	free(once.items);
	free(twice.items);
	return 0;
}
