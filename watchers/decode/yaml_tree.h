/*
 * libyaml's events -> JSON, with a stack of the collections that are open.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "core/hash.h"
#include "watchers/decode/document.h"

struct yaml_anchor;

/* A sequence or mapping that has not ended. */
struct yaml_level {
	json_t *json;
	json_t *merges;		    /* of a mapping: the values of "<<" */
	char *key;		    /* of a mapping: its value comes next */
	bool is_merge;		    /* likewise, of "<<" */
	struct yaml_anchor *anchor; /* or NULL */
	size_t n_before;
	yaml_mark_t start;
};

struct yaml_tree { /* embedded */
	struct yaml_level levels[DOCUMENT_MAX_DEPTH];
	unsigned n_levels;
	struct document doc;		 /* json: its root, when it has been read */
	struct yaml_anchor *all_anchors; /* of the document */
	struct hash anchors;		 /* by name, as it is now */
	size_t n_nodes, n_aliased;
	int err; /* 0, or: */
	const char *why;
	size_t line; /* from 0 */
};

void yaml_tree_init(struct yaml_tree *t);
void yaml_tree_fini(struct yaml_tree *t);

/*
 * Takes an alias, a scalar, or the start or end of a collection.  0, or -errno with
 * why and line set; then nothing more may be taken.
 */
int yaml_tree_take(struct yaml_tree *t, const yaml_event_t *event);
/* Passes the document on, unless it is empty, and forgets it. */
void yaml_tree_end_document(struct yaml_tree *t, document_fn fn, void *data);
