/*
 * A field's path says where it goes: "iptables.syncPeriod" is the member
 * syncPeriod of the member iptables.
 */
#include "proxy/config/config_json.h"

#include <math.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"

static json_t *list_to_json(const struct strings *list)
{
	json_t *array;

	if (!list->n)
		return json_null();
	array = json_array();
	for (size_t i = 0; i < list->n; i++)
		(void)json_array_append_new(array, json_string(list->items[i]));
	return array;
}

/* "Name=true" items -> { "Name": true } */
static json_t *gates_to_json(const struct strings *gates)
{
	json_t *object = json_object();

	for (size_t i = 0; i < gates->n; i++) {
		_cleanup_(freep) char *name = xstrdup(gates->items[i]);
		char *value = strchr(name, '=');

		if (!value)
			continue;
		*value++ = 0;
		(void)json_object_set_new(object, name,
					  json_boolean(!strcmp(value, "true")));
	}
	return object;
}

static json_t *text_to_json(const struct config_field *field, const void *slot)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	value_format(field->kind, slot, &text);
	return json_string(buf_string(&text));
}

static json_t *field_to_json(const struct config_field *field, const void *slot)
{
	double number;

	switch (field->kind) {
	case VALUE_BOOL:
		return json_boolean(*(const bool *)slot);
	case VALUE_INT:
		return json_integer(*(const int32_t *)slot);
	case VALUE_FLOAT:
		number = *(const double *)slot;
		/* Go writes whole numbers without a fraction; larger ones have no exact integer. */
		return fabs(number) < 1e15 && number == (double)(json_int_t)number
			       ? json_integer((json_int_t)number)
			       : json_real(number);
	case VALUE_STRING:
	case VALUE_DURATION:
		return text_to_json(field, slot);
	case VALUE_STRINGS:
	case VALUE_PATHS:
		return list_to_json(slot);
	case VALUE_GATES:
		return gates_to_json(slot);
	}
	return json_null();
}

static bool is_empty(const json_t *value)
{
	return json_is_null(value) || json_is_false(value) ||
	       (json_is_object(value) && !json_object_size(value)) ||
	       (json_is_string(value) && !*json_string_value(value));
}

/* Puts value (whose reference it takes) at the path, making the objects on the way. */
static void set_at_path(json_t *root, const char *path, json_t *value)
{
	const char *dot;

	while ((dot = strchr(path, '.'))) {
		_cleanup_(freep) char *name = xstrndup(path, (size_t)(dot - path));

		if (!json_object_get(root, name))
			(void)json_object_set_new(root, name, json_object());
		root = json_object_get(root, name);
		path = dot + 1;
	}
	(void)json_object_set_new(root, path, value);
}

json_t *config_to_json(const struct config *config)
{
	json_t *root = json_pack("{s:s, s:s}", "kind", "KubeProxyConfiguration",
				 "apiVersion", "kubeproxy.config.k8s.io/v1alpha1");

	for (size_t i = 0; i < config_n_fields; i++) {
		const struct config_field *field = &config_fields[i];
		json_t *value =
			field_to_json(field, (const char *)config + field->offset);

		if (field->omit_empty && is_empty(value))
			json_decref(value);
		else
			set_at_path(root, field->path, value);
	}
	return root;
}
