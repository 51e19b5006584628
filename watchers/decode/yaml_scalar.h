/*
 * The type of a YAML scalar, by the rules of the parser that Kubernetes uses
 * (go-yaml v2: YAML 1.1's booleans, nulls and numbers, but no times and no
 * base 60).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * tag is the explicit one or NULL; is_plain: not quoted, no block.  NULL when
 * the text can't be what the tag says.
 */
json_t *yaml_scalar_parse(const char *text, size_t len, const char *tag, bool is_plain);
