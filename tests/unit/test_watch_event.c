/*
 * The content of one event of a watch.
 */
#include "tests/test.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/unit/object_text.h"
#include "watchers/kube/watch_event.h"

static int decode(const char *text, enum object_kind kind, struct buf *rejected,
		  struct watch_event *ret)
{
	const struct reject reject = {.call = object_text_note, .data = rejected};
	json_t *json = json_loads(text, 0, NULL);
	int rc;

	assert_non_null(json);
	rc = watch_event_decode(json, kind, &reject, ret);
	json_decref(json);
	return rc;
}

#define SERVICE(rest)                                                                    \
	"{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"resourceVersion\":"    \
	"\"7a\""                                                                         \
	"},\"spec\":{\"clusterIP\":\"10.96.0.1\"" rest "}}"

static void events_carry_an_object(void **state)
{
	static const struct {
		const char *text;
		enum watch_event_type type;
		bool has_object;
	} cases[] = {
		{"{\"type\":\"ADDED\",\"object\":" SERVICE("") "}", WATCH_ADDED, true},
		{"{\"type\":\"MODIFIED\",\"object\":" SERVICE("") "}", WATCH_MODIFIED,
		 true},
		{"{\"type\":\"DELETED\",\"object\":" SERVICE("") "}", WATCH_DELETED,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct buf rejected = BUF_INIT;
		struct watch_event event;

		assert_int_equal(decode(cases[i].text, OBJECT_SERVICE, &rejected, &event),
				 0);
		assert_int_equal(event.type, cases[i].type);
		assert_string_equal(event.ns, "shop");
		assert_string_equal(event.name, "web");
		assert_string_equal(event.resource_version, "7a");
		assert_int_equal(event.object != NULL, cases[i].has_object);
		assert_string_equal(buf_string(&rejected), "");
		watch_event_fini(&event);
		assert_null(event.object);
	}
}

static void rejected_and_hidden_objects_carry_their_name(void **state)
{
	static const struct {
		const char *text;
		enum object_kind kind;
		const char *ns, *name, *rejected;
	} cases[] = {
		{"{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"a/b\","
		 "\"namespace\":\"shop\"}}}",
		 OBJECT_SERVICE, "shop", "a/b",
		 "API server: Service shop/: metadata.name: \"a/b\" is not a valid "
		 "name\n"},
		{"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web\","
		 "\"labels\":{"
		 "\"service.kubernetes.io/service-proxy-name\":\"x\"}}}}",
		 OBJECT_SERVICE, "default", "web", ""},
		{"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web-1\","
		 "\"labels\":{"
		 "\"service.kubernetes.io/headless\":\"\",\"kubernetes.io/"
		 "service-name\":\"web\""
		 "}},\"addressType\":\"IPv4\"}}",
		 OBJECT_SLICE, "default", "web-1", ""},
		{"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web-1\"},"
		 "\"addressType\":\"FQDN\"}}",
		 OBJECT_SLICE, "default", "web-1", ""},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct buf rejected = BUF_INIT;
		struct watch_event event;

		assert_int_equal(decode(cases[i].text, cases[i].kind, &rejected, &event),
				 0);
		assert_null(event.object);
		assert_string_equal(event.ns, cases[i].ns);
		assert_string_equal(event.name, cases[i].name);
		assert_string_equal(buf_string(&rejected), cases[i].rejected);
		buf_fini(&rejected);
	}
}

static void note_begin(void *data, const struct reject_object *object)
{
	buf_printf(data, "%s %s/%s {", object->kind, object->ns, object->name);
}

static void note_end(void *data)
{
	buf_add_string(data, "}\n");
}

static void note_rejection(void *data, const struct rejection *rejection)
{
	buf_printf(data, " %s ", rejection->field);
}

static void each_invalid_object_has_its_message(void **state)
{
#define ODD "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"type\":7}}"
	static const char *const cases[][2] = {
		{"{\"type\":\"ADDED\",\"object\":" ODD "}",
		 "Service default/web { spec.type }\n"},
		{"{\"type\":\"MODIFIED\",\"object\":" SERVICE("") "}",
		 "Service shop/web {}\n"},
		{"{\"type\":\"DELETED\",\"object\":" ODD "}", "Service default/web {}\n"},
	};
	struct buf rejected = BUF_INIT;
	const struct reject reject = {.call = note_rejection,
				      .data = &rejected,
				      .begin = note_begin,
				      .end = note_end};
	struct decoded decoded = {.n = 0};
	json_t *item = json_loads(ODD, 0, NULL);

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		json_t *json = json_loads(cases[i][0], 0, NULL);
		struct watch_event event;

		assert_int_equal(watch_event_decode(json, OBJECT_SERVICE, &reject,
						    &event),
				 0);
		assert_string_equal(buf_string(&rejected), cases[i][1]);
		watch_event_fini(&event);
		json_decref(json);
		buf_clear(&rejected);
	}
	watch_item_decode(item, OBJECT_SERVICE, &reject, &decoded);
	assert_string_equal(buf_string(&rejected), cases[0][1]);
	assert_int_equal(decoded.n, 1);
	decoded_fini(&decoded);
	json_decref(item);
	buf_fini(&rejected);
}

static void nodes_have_no_namespace(void **state)
{
	struct buf rejected = BUF_INIT;
	struct watch_event event;

	(void)state;
	assert_int_equal(
		decode("{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"n1\","
		       "\"namespace\":\"x\"}}}",
		       OBJECT_NODE, &rejected, &event),
		0);
	assert_string_equal(event.ns, "");
	assert_string_equal(event.name, "n1");
}

static void bookmarks_carry_the_version_of_the_watch(void **state)
{
	static const struct {
		const char *annotations;
		bool is_end;
	} cases[] = {
		{"{\"k8s.io/initial-events-end\":\"true\"}", true},
		{"{\"k8s.io/initial-events-end\":\"false\"}", false},
		{"{\"k8s.io/initial-events-end\":true}", false},
		{"{}", false},
		{"null", false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct buf text = BUF_INIT, rejected = BUF_INIT;
		struct watch_event event;

		buf_printf(&text,
			   "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Service\","
			   "\"metadata\":{"
			   "\"resourceVersion\":\"99\",\"annotations\":%s}}}",
			   cases[i].annotations);
		assert_int_equal(decode(buf_string(&text), OBJECT_SERVICE, &rejected,
					&event),
				 0);
		assert_int_equal(event.type, WATCH_BOOKMARK);
		assert_string_equal(event.resource_version, "99");
		assert_int_equal(event.is_initial_end, cases[i].is_end);
		assert_null(event.object);
		buf_fini(&text);
	}
}

static void errors_carry_a_status(void **state)
{
	struct buf rejected = BUF_INIT;
	struct watch_event event;

	(void)state;
	assert_int_equal(decode("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\","
				"\"metadata\":{},"
				"\"status\":\"Failure\",\"message\":\"Too "
				"large\\nresource version\","
				"\"reason\":\"Timeout\",\"code\":504,\"details\":{"
				"\"retryAfterSeconds\":3,"
				"\"causes\":[5,{\"reason\":\"x\"},{\"reason\":"
				"\"ResourceVersionTooLarge\"}]}}}",
				OBJECT_SERVICE, &rejected, &event),
			 0);
	assert_int_equal(event.type, WATCH_ERROR);
	assert_int_equal(event.status_code, 504);
	assert_string_equal(event.reason, "Timeout");
	assert_string_equal(event.message, "Too large resource version");
	assert_int_equal(event.retry_after_sec, 3);
	assert_true(event.is_too_large_version);

	assert_int_equal(
		decode("{\"type\":\"ERROR\",\"object\":{\"code\":-5,\"reason\":7,"
		       "\"details\":{\"retryAfterSeconds\":-1}}}",
		       OBJECT_SERVICE, &rejected, &event),
		0);
	assert_int_equal(event.status_code, 0);
	assert_string_equal(event.reason, "");
	assert_int_equal(event.retry_after_sec, 0);
	assert_false(event.is_too_large_version);
}

/* It ends between two characters, not inside one. */
static void long_messages_are_cut(void **state)
{
	struct watch_event event = {.object = NULL};
	struct buf text = BUF_INIT;
	json_t *json;

	(void)state;
	buf_add_string(&text, "{\"message\":\"");
	for (int i = 0; i < 200; i++)
		buf_add_string(&text, "\xe2\x82\xac"); /* three bytes each */
	buf_add_string(&text, "\"}");
	json = json_loads(buf_string(&text), 0, NULL);
	assert_int_equal(watch_status_decode(json, &event), 0);
	assert_int_equal(strlen(event.message), 255 / 3 * 3);
	json_decref(json);
	buf_fini(&text);
}

static void an_invalid_event_leaves_the_result_unchanged(void **state)
{
	static const char *const cases[] = {
		"[]",
		"{}",
		"{\"type\":\"ADDED\"}",
		"{\"type\":\"ADDED\",\"object\":5}",
		"{\"type\":\"ADDED\",\"object\":{}}",
		"{\"type\":\"added\",\"object\":" SERVICE("") "}",
		"{\"type\":5,\"object\":" SERVICE("") "}",
		"{\"object\":" SERVICE("") "}",
		"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"\"}}}",
		"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":5}}}",
		/* longer than anything we keep */
		"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":"
		"\"0123456789012345678901234567890123456789012345678901234567890123\"}}}",
		"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\","
		"\"namespace\":"
		"\"0123456789012345678901234567890123456789012345678901234567890123\"}}}",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct buf rejected = BUF_INIT;
		struct watch_event event, before;

		memset(&event, 0x5a, sizeof(event));
		memcpy(&before, &event, sizeof(event));
		assert_int_equal(decode(cases[i], OBJECT_SERVICE, &rejected, &event),
				 -EINVAL);
		assert_memory_equal(&event, &before, sizeof(event));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_carry_an_object),
		cmocka_unit_test(rejected_and_hidden_objects_carry_their_name),
		cmocka_unit_test(each_invalid_object_has_its_message),
		cmocka_unit_test(nodes_have_no_namespace),
		cmocka_unit_test(bookmarks_carry_the_version_of_the_watch),
		cmocka_unit_test(errors_carry_a_status),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(an_invalid_event_leaves_the_result_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
