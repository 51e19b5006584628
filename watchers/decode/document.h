/*
 * Bytes of a manifest -> JSON documents.  JSON goes through jansson, YAML
 * through libyaml (several documents, anchors and aliases, YAML 1.1 scalars as
 * Kubernetes reads them).  Bounded: DOCUMENT_MAX_LEN bytes, nesting, and how
 * much aliases may expand.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* For those who read JSON piece by piece: is this how JSON begins? */
bool document_is_json(const char *bytes, size_t len);
/*
 * One JSON value, which begins on that line of the document. -EINVAL when it is
 * none, -ERANGE when it is one with a number too big to be kept; then
 * *ret_error is one line, which the caller frees.
 */
int document_load_json(const char *bytes, size_t len, uint64_t line, json_t **ret,
		       char **ret_error);
/* The line for what json_split answers; the caller frees it. */
char *document_split_error(int err, uint64_t line);
