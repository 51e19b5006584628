/*
 * The YAML half of document.h, in steps that a turn of the loop can afford.
 */
#pragma once

#include "watchers/decode/document.h"

struct document_yaml;

/* bytes are borrowed until it is freed. */
struct document_yaml *document_yaml_new(const char *bytes, size_t len, document_fn fn,
					void *data);
/*
 * Parses so many events, and calls fn for the documents that end.  1 if there are
 * more, 0 at the end, or -errno as document_parse().
 */
int document_yaml_step(struct document_yaml *y, size_t max_events, char **ret_error);
void document_yaml_free(struct document_yaml *y);
