/*
 * The text of a member of a JSON object.
 */
#pragma once

#include <jansson.h>

/* "" if the member is missing or not a string. */
static inline const char *json_text(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "";
}
