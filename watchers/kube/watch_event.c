#include "watchers/kube/watch_event.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"

#define SOURCE		  "API server"
#define MAX_RETRY_SEC	  (24 * 3600)
#define MAX_STATUS_CAUSES 100
#define INITIAL_END	  "k8s.io/initial-events-end"

static const char *const type_names[] = {
	[WATCH_ADDED] = "ADDED",     [WATCH_MODIFIED] = "MODIFIED",
	[WATCH_DELETED] = "DELETED", [WATCH_BOOKMARK] = "BOOKMARK",
	[WATCH_ERROR] = "ERROR",
};

static bool find_type(const json_t *json, enum watch_event_type *ret)
{
	const char *text = json_string_value(json_object_get(json, "type"));

	for (enum watch_event_type type = 0; text && type < N_ELEMENTS(type_names);
	     type++) {
		if (strcmp(text, type_names[type]) == 0) {
			*ret = type;
			return true;
		}
	}
	return false;
}

/* The string member, "" if it is missing; false if it doesn't fit. */
static bool copy_text(const json_t *object, const char *key, char *ret, size_t len)
{
	const json_t *text = json_object_get(object, key);
	size_t text_len = json_string_length(text);

	if (text_len >= len ||
	    (text_len > 0 && memchr(json_string_value(text), 0, text_len)))
		return false;
	if (text_len > 0)
		memcpy(ret, json_string_value(text), text_len);
	ret[text_len] = '\0';
	return true;
}

/* As much as fits; control characters become blanks. */
static void copy_line(const json_t *object, const char *key, char *ret, size_t len)
{
	const char *text = json_string_value(json_object_get(object, key));
	size_t n = 0;

	for (; text && text[n] && n < len - 1; n++)
		ret[n] = (unsigned char)text[n] < ' ' || text[n] == 127 ? ' ' : text[n];
	/* never half a character */
	while (text && text[n] && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	ret[n] = '\0';
}

static bool is_true_text(const json_t *text)
{
	return json_is_string(text) && strcmp(json_string_value(text), "true") == 0;
}

static bool is_hidden(const struct object *o)
{
	switch ((enum object_kind)o->kind) {
	case OBJECT_SERVICE:
		return object_as_service(o)->is_hidden;
	case OBJECT_SLICE:
		return object_as_slice(o)->is_hidden;
	case OBJECT_NODE:
	case OBJECT_SERVICE_CIDR:
	case OBJECT_POD:
	case OBJECT_NAMESPACE:
	case OBJECT_KIND_N:
		break;
	}
	return false;
}

/* The names of the object, whether it is rejected or not. */
static int take_name(const json_t *metadata, enum object_kind kind,
		     struct watch_event *ret)
{
	bool is_namespaced =
		kind == OBJECT_SERVICE || kind == OBJECT_SLICE || kind == OBJECT_POD;

	if (!copy_text(metadata, "name", ret->name, sizeof(ret->name)) ||
	    !copy_text(metadata, "namespace", ret->ns, sizeof(ret->ns)))
		return -EINVAL;
	if (!*ret->name)
		return -EINVAL;
	if (!is_namespaced)
		*ret->ns = '\0';
	else if (!*ret->ns)
		(void)strcpy(ret->ns, "default");
	return 0;
}

/* json is NULL for a deleted object: its earlier rejections end. */
static void decode_reported(const json_t *json, enum object_kind kind,
			    const struct watch_event *event, const struct reject *reject,
			    struct decoded *ret)
{
	reject_begin(reject, object_kind_name(kind), event->ns, event->name);
	(void)decode_kind(json, kind, SOURCE, reject, ret);
	reject_end(reject);
}

static void take_object(const json_t *json, enum object_kind kind,
			const struct reject *reject, struct watch_event *ret)
{
	struct decoded decoded = {.n = 0};

	decode_reported(ret->type == WATCH_DELETED ? NULL : json, kind, ret, reject,
			&decoded);
	if (decoded.n > 0 && !is_hidden(decoded.objects[0]))
		ret->object = object_ref(decoded.objects[0]);
	decoded_fini(&decoded);
}

int watch_event_decode(const json_t *json, enum object_kind kind,
		       const struct reject *reject, struct watch_event *ret)
{
	const json_t *object = json_object_get(json, "object");
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *notes = json_object_get(metadata, "annotations");
	struct watch_event event = {.object = NULL};
	int rc = 0;

	if (!json_is_object(object) || !find_type(json, &event.type) ||
	    !copy_text(metadata, "resourceVersion", event.resource_version,
		       sizeof(event.resource_version)))
		return -EINVAL;
	if (event.type == WATCH_ERROR)
		rc = watch_status_decode(object, &event);
	else if (event.type == WATCH_BOOKMARK)
		event.is_initial_end = is_true_text(json_object_get(notes, INITIAL_END));
	else
		rc = take_name(metadata, kind, &event);
	if (rc != 0)
		return rc;
	if (*event.name)
		take_object(object, kind, reject, &event);
	*ret = event;
	return 0;
}

void watch_event_fini(struct watch_event *event)
{
	object_unref(take_ptr(event->object));
}

void watch_item_decode(const json_t *json, enum object_kind kind,
		       const struct reject *reject, struct decoded *ret)
{
	struct watch_event item = {.object = NULL};

	/* An item without a name is reported as well. */
	(void)take_name(json_object_get(json, "metadata"), kind, &item);
	decode_reported(json, kind, &item, reject, ret);
}

static bool has_cause(const json_t *details, const char *reason)
{
	const json_t *cause, *causes = json_object_get(details, "causes");
	size_t i;

	json_array_foreach(causes, i, cause)
	{
		const char *text = json_string_value(json_object_get(cause, "reason"));

		if (i < MAX_STATUS_CAUSES && text && strcmp(text, reason) == 0)
			return true;
	}
	return false;
}

int watch_status_decode(const json_t *json, struct watch_event *ret)
{
	const json_t *details = json_object_get(json, "details");
	json_int_t code, retry_sec;

	if (!json_is_object(json))
		return -EINVAL;
	code = json_integer_value(json_object_get(json, "code"));
	retry_sec = json_integer_value(json_object_get(details, "retryAfterSeconds"));
	ret->type = WATCH_ERROR;
	ret->status_code = code > 0 && code <= 999 ? (int)code : 0;
	copy_line(json, "reason", ret->reason, sizeof(ret->reason));
	copy_line(json, "message", ret->message, sizeof(ret->message));
	ret->retry_after_sec = retry_sec < 0		   ? 0
			       : retry_sec > MAX_RETRY_SEC ? MAX_RETRY_SEC
							   : (uint32_t)retry_sec;
	ret->is_too_large_version = has_cause(details, "ResourceVersionTooLarge");
	return 0;
}
