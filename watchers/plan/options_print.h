/*
 * The options of a service that are set, for `plan`.
 */
#pragma once

#include <jansson.h>

#include "core/buf.h"
#include "core/service.h"

/* An object of the options that are set, or NULL if none is. */
json_t *options_print_json(const struct service *s);
/* ", drain 500 ms, ..."; nothing if none is set. */
void options_print_text(const struct service *s, struct buf *out);
