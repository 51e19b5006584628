/*
 * Any JSON as a Kubernetes object or a List of them.  The tree is that of jansson's
 * own parser.  Each object is equal to itself, and to that of a second decoding.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "watchers/decode/decode.h"
#include "watchers/decode/json_fast.h"

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

static void check_equal(const json_t *a, const json_t *b)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
	char *left = json_dumps(a, flags), *right = json_dumps(b, flags);

	assert(!left == !right && (!left || strcmp(left, right) == 0));
	free(left);
	free(right);
}

static json_t *load(const char *bytes, size_t len)
{
	const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_t *json = json_fast_load(bytes, len, flags, NULL);
	json_t *slow = json_loadb(bytes, len, flags, NULL);

	check_equal(json, slow);
	json_decref(slow);
	return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct reject reject = {.call = look};
	json_t *json = load((const char *)bytes, len);
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
