/*
 * Bytes of a manifest or configuration -> JSON documents.  JSON goes through
 * jansson, YAML through libyaml (several documents, anchors and aliases, YAML 1.1
 * scalars as Kubernetes reads them).  Bounded: DOCUMENT_MAX_LEN bytes, nesting,
 * and how much aliases may expand.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOCUMENT_MAX_LEN   (32u << 20) /* of YAML in a file, of one JSON value */
#define DOCUMENT_MAX_DEPTH 64

/* A key that one object has twice; the last value counts. */
struct document_duplicate {
	uint64_t line;
	char key[64]; /* cut if longer */
};

#define DOCUMENT_MAX_DUPLICATES 10

struct document {
	unsigned number; /* counted from 1 */
	json_t *json;	 /* borrowed */
	struct document_duplicate
		duplicates[DOCUMENT_MAX_DUPLICATES]; /* the first ones */
	size_t n_duplicates; /* all; of JSON, 1 stands for any number */
};

typedef void (*document_fn)(void *data, const struct document *doc);

/*
 * Calls fn for each document; JSON is a single one.  0, or -EINVAL (cannot be
 * parsed) or -E2BIG (a limit); then *ret_error is one line with the place, which
 * the caller frees, and documents after the bad one are not seen.
 */
int document_parse(const char *bytes, size_t len, document_fn fn, void *data,
		   char **ret_error);

/* Is the text JSON, by its first character? If not, it is YAML. */
bool document_is_json(const char *bytes, size_t len);
/*
 * One JSON value, which starts on that line of the file, into *ret (a reference
 * for the caller) and its duplicates.  -EINVAL if it cannot be parsed, -E2BIG
 * if it is nested too deeply, -ERANGE if a number in it cannot be represented; then *ret_error is one line, which the
 * caller frees.
 */
int document_load_json(const char *bytes, size_t len, uint64_t line, struct document *ret,
		       char **ret_error);
/* The line for an error of json_split; the caller frees it. */
char *document_split_error(int err, uint64_t line);
