/*
 * The YAML half of document.h.
 */
#pragma once

#include "watchers/decode/document.h"

/* As document_parse(), but for text that is YAML. */
int document_yaml_parse(const char *bytes, size_t len, document_fn fn, void *data,
			char **ret_error);
