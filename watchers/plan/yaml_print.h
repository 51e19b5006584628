/*
 * Writes a JSON value as a YAML document in block style.
 */
#pragma once

#include <jansson.h>

#include "core/buf.h"

void yaml_print(const json_t *value, struct buf *out);
