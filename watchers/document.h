/*
 * Bytes of a manifest -> JSON documents.  JSON goes through jansson, YAML
 * through libyaml (several documents, anchors and aliases, YAML 1.1 scalars as
 * Kubernetes reads them).  Bounded: DOCUMENT_MAX_LEN bytes, nesting, and how
 * much aliases may expand.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#define DOCUMENT_MAX_LEN   (512u << 20)
#define DOCUMENT_MAX_DEPTH 64

/* Called for each document, counted from 1; json is borrowed. */
typedef void (*document_fn)(void *data, unsigned number, json_t *json);

/*
 * Tells JSON from YAML by its first character.  0, or -EINVAL (not parsable) or
 * -E2BIG (a limit); then *ret_error holds one line with the place, which the
 * caller frees, and documents after the bad one are not seen.
 */
int document_parse(const char *bytes, size_t len, document_fn fn, void *data,
		   char **ret_error);
