/*
 * The output of ruleset.c, for ruleset_walk.c.  Values are texts, as nft prints
 * them; the parts of a concatenation are joined by blanks.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "tests/kernel/ruleset.h"

#define RULESET_VALUE_LEN 256

struct ruleset_element {
	char *key;
	const json_t *data; /* of a map, else NULL */
};

struct ruleset_set {
	const char *name;
	struct ruleset_element *elements; /* sorted by key */
	struct ruleset_element *networks; /* with a prefix or a range in them, unsorted */
	size_t n, cap, n_networks, cap_networks;
};

struct ruleset_chain {
	const char *name, *type, *hook;
	int priority;
	const json_t **rules; /* the expressions of each */
	size_t n, cap;
};

struct ruleset {
	json_t *root;
	enum family family;
	struct ruleset_set *sets;
	struct ruleset_chain *chains;
	size_t n_sets, cap_sets, n_chains, cap_chains;
	unsigned n_rules, n_elements;
};

/* Adds a part to a value of RULESET_VALUE_LEN bytes. */
void ruleset_join(char *buf, const char *part);
/* A constant of the listing as text. */
void ruleset_add_constant(char *buf, const json_t *v);
/* A key, which may have networks in it, against a value. */
bool ruleset_parts_match(const char *key, const char *value);

/* Fail the test for unknown names. */
struct ruleset_chain *ruleset_find_chain(const struct ruleset *rs, const char *name);
const struct ruleset_set *ruleset_find_set(const struct ruleset *rs, const char *name);
/* NULL when there is none. */
const struct ruleset_element *ruleset_find_element(const struct ruleset_set *s,
						   const char *value);
