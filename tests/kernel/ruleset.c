/*
 * Values are texts, as nft prints them; the parts of a concatenation are joined
 * by blanks.  An element with a network in it is kept apart and matched part by
 * part, all others are looked up by binary search.
 */
#include "tests/kernel/ruleset.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/ruleset_parts.h"
#include "tests/test.h"

void ruleset_join(char *buf, const char *part)
{
	size_t len = strlen(buf);

	assert_true(len + strlen(part) + 2 < RULESET_VALUE_LEN);
	(void)snprintf(buf + len, RULESET_VALUE_LEN - len, "%s%s", len ? " " : "", part);
}

/* A constant of the listing as text. */
void ruleset_add_constant(char *buf, const json_t *v)
{
	char text[64];
	const json_t *inner, *item;
	size_t i;

	if (json_is_string(v)) {
		ruleset_join(buf, json_string_value(v));
	} else if (json_is_integer(v)) {
		(void)snprintf(text, sizeof(text), "%lld",
			       (long long)json_integer_value(v));
		ruleset_join(buf, text);
	} else if ((inner = json_object_get(v, "elem"))) {
		ruleset_add_constant(buf, json_object_get(inner, "val"));
	} else if ((inner = json_object_get(v, "concat"))) {
		json_array_foreach(inner, i, item) ruleset_add_constant(buf, item);
	} else if ((inner = json_object_get(v, "prefix"))) {
		(void)snprintf(text, sizeof(text), "%s/%lld",
			       json_string_value(json_object_get(inner, "addr")),
			       (long long)json_integer_value(
				       json_object_get(inner, "len")));
		ruleset_join(buf, text);
	} else if ((inner = json_object_get(v, "range"))) {
		(void)snprintf(text, sizeof(text), "%s-%s",
			       json_string_value(json_array_get(inner, 0)),
			       json_string_value(json_array_get(inner, 1)));
		ruleset_join(buf, text);
	} else {
		_cleanup_(freep) char *dump = json_dumps(v, JSON_ENCODE_ANY);

		fail_msg("unknown constant: %s", dump);
	}
}

static int compare_elements(const void *a, const void *b)
{
	return strcmp(((const struct ruleset_element *)a)->key,
		      ((const struct ruleset_element *)b)->key);
}

static void add_element(struct ruleset_set *s, const json_t *item, bool is_map)
{
	char key[RULESET_VALUE_LEN] = "";
	struct ruleset_element e = {.data = NULL};

	ruleset_add_constant(key, is_map ? json_array_get(item, 0) : item);
	e.key = xstrdup(key);
	e.data = is_map ? json_array_get(item, 1) : NULL;
	if (strpbrk(key, "/-")) {
		s->networks =
			xgrow(s->networks, s->n_networks, &s->cap_networks, sizeof(e));
		s->networks[s->n_networks++] = e;
	} else {
		s->elements = xgrow(s->elements, s->n, &s->cap, sizeof(e));
		s->elements[s->n++] = e;
	}
}

static void add_set(struct ruleset *rs, const json_t *o, bool is_map)
{
	struct ruleset_set s = {.name = json_string_value(json_object_get(o, "name"))};
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(o, "elem"), i, item)
		add_element(&s, item, is_map);
	if (s.n)
		qsort(s.elements, s.n, sizeof(s.elements[0]), compare_elements);
	rs->n_elements += (unsigned)(s.n + s.n_networks);
	rs->sets = xgrow(rs->sets, rs->n_sets, &rs->cap_sets, sizeof(s));
	rs->sets[rs->n_sets++] = s;
}

static void add_chain(struct ruleset *rs, const json_t *o)
{
	struct ruleset_chain c = {
		.name = json_string_value(json_object_get(o, "name")),
		.type = json_string_value(json_object_get(o, "type")),
		.hook = json_string_value(json_object_get(o, "hook")),
		.priority = (int)json_integer_value(json_object_get(o, "prio")),
	};
	const char *policy = json_string_value(json_object_get(o, "policy"));

	assert_true(!policy || !strcmp(policy, "accept"));
	rs->chains = xgrow(rs->chains, rs->n_chains, &rs->cap_chains, sizeof(c));
	rs->chains[rs->n_chains++] = c;
}

struct ruleset_chain *ruleset_find_chain(const struct ruleset *rs, const char *name)
{
	for (size_t i = 0; i < rs->n_chains; i++)
		if (!strcmp(rs->chains[i].name, name))
			return &rs->chains[i];
	fail_msg("no chain %s", name);
	return NULL;
}

const struct ruleset_set *ruleset_find_set(const struct ruleset *rs, const char *name)
{
	for (size_t i = 0; i < rs->n_sets; i++)
		if (!strcmp(rs->sets[i].name, name))
			return &rs->sets[i];
	fail_msg("no set %s", name);
	return NULL;
}

static void add_rule(struct ruleset *rs, const json_t *o)
{
	struct ruleset_chain *c =
		ruleset_find_chain(rs, json_string_value(json_object_get(o, "chain")));

	c->rules = xgrow(c->rules, c->n, &c->cap, sizeof(c->rules[0]));
	c->rules[c->n++] = json_object_get(o, "expr");
	rs->n_rules++;
}

/* Rules come after all chains in a listing. */
static void index_objects(struct ruleset *rs)
{
	const json_t *objects = json_object_get(rs->root, "nftables"), *item, *o;
	size_t i;

	json_array_foreach(objects, i, item)
	{
		if ((o = json_object_get(item, "set")))
			add_set(rs, o, false);
		else if ((o = json_object_get(item, "map")))
			add_set(rs, o, true);
		else if ((o = json_object_get(item, "chain")))
			add_chain(rs, o);
		else if ((o = json_object_get(item, "rule")))
			add_rule(rs, o);
	}
}

struct ruleset *ruleset_read(enum family family, const char *table)
{
	struct ruleset *rs = xcalloc(1, sizeof(*rs));
	_cleanup_(freep) char *command =
		xasprintf("nft -j list table %s %s 2>/dev/null",
			  family == FAMILY_IPV4 ? "ip" : "ip6", table);
	FILE *f = popen(command, "re");
	json_error_t error;

	assert_non_null(f);
	rs->family = family;
	rs->root = json_loadf(f, 0, &error);
	if (pclose(f) || !rs->root)
		fail_msg("%s: %s", command, error.text);
	index_objects(rs);
	return rs;
}

static void free_elements(struct ruleset_element *elements, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(elements[i].key);
	free(elements);
}

void ruleset_free(struct ruleset *rs)
{
	if (!rs)
		return;
	for (size_t i = 0; i < rs->n_sets; i++) {
		free_elements(rs->sets[i].elements, rs->sets[i].n);
		free_elements(rs->sets[i].networks, rs->sets[i].n_networks);
	}
	for (size_t i = 0; i < rs->n_chains; i++)
		free(rs->chains[i].rules);
	free(rs->sets);
	free(rs->chains);
	json_decref(rs->root);
	free(rs);
}

unsigned ruleset_n_rules(const struct ruleset *rs)
{
	return rs->n_rules;
}

unsigned ruleset_n_elements(const struct ruleset *rs)
{
	return rs->n_elements;
}

static bool part_matches(const char *part, const char *value)
{
	char first[ADDR_TEXT_LEN];
	const char *dash = strchr(part, '-');
	struct addr low, high, a;
	struct cidr c;

	if (!strcmp(part, value))
		return true;
	if (addr_parse(value, &a))
		return false;
	if (!cidr_parse(part, &c))
		return cidr_contains(&c, &a);
	if (!dash)
		return false;
	(void)snprintf(first, sizeof(first), "%.*s", (int)(dash - part), part);
	return !addr_parse(first, &low) && !addr_parse(dash + 1, &high) &&
	       addr_compare(&low, &a) <= 0 && addr_compare(&a, &high) <= 0;
}

bool ruleset_parts_match(const char *key, const char *value)
{
	char a[RULESET_VALUE_LEN], b[RULESET_VALUE_LEN];
	char *rest_a = a, *rest_b = b;

	(void)snprintf(a, sizeof(a), "%s", key);
	(void)snprintf(b, sizeof(b), "%s", value);
	while (rest_a && rest_b)
		if (!part_matches(strsep(&rest_a, " "), strsep(&rest_b, " ")))
			return false;
	return !rest_a && !rest_b;
}

const struct ruleset_element *ruleset_find_element(const struct ruleset_set *s,
						   const char *value)
{
	struct ruleset_element key = {.key = (char *)(uintptr_t)value}, *found = NULL;

	if (s->n)
		found = bsearch(&key, s->elements, s->n, sizeof(key), compare_elements);
	for (size_t i = 0; !found && i < s->n_networks; i++)
		if (ruleset_parts_match(s->networks[i].key, value))
			found = &s->networks[i];
	return found;
}
