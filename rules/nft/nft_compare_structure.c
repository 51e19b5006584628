/*
 * Rules are compared as libnftnl prints their expressions: with every attribute,
 * and without handles and positions.
 *
 * A set or base chain of ours with another type (of an older version, or changed
 * by another process) can't be changed in place.  Then the whole table is
 * replaced, in the same transaction.
 */
#include "rules/nft/nft_compare_structure.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "core/cleanup.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "rules/nft/nft_read.h"
#include "rules/nft/nft_rules.h"
#include "rules/nft/nft_schema.h"

DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free);

/* A chain that should exist, or does. */
struct seen_chain {
	char *name; /* first: a string key */
	struct nft_chain chain;
	bool is_wanted, is_there, has_other_policy;
	struct buf rules;
};

struct structure {
	const struct nft_comparison *c;
	enum family family;
	bool has_wrong_type;
	struct nft_sets_seen seen;
	char **foreign_sets;
	size_t n_foreign_sets, foreign_sets_cap;
	struct nft_object *objects; /* with names of their own */
	size_t n_objects, objects_cap;
	struct seen_chain **chains; /* in the order of need, as the kernel wants them */
	size_t n_chains, chains_cap;
	struct hash by_name; /* of the chains */
};

static struct structure structure_init(const struct nft_comparison *c, enum family family)
{
	struct structure s = {.c = c, .family = family};

	hash_init(&s.by_name, &string_key_ops);
	return s;
}

static void structure_fini(struct structure *s)
{
	for (size_t i = 0; i < s->n_foreign_sets; i++)
		free(s->foreign_sets[i]);
	free(s->foreign_sets);
	for (size_t i = 0; i < s->n_objects; i++)
		free((char *)(uintptr_t)s->objects[i].name);
	free(s->objects);
	for (size_t i = 0; i < s->n_chains; i++) {
		free(s->chains[i]->name);
		buf_fini(&s->chains[i]->rules);
		free(s->chains[i]);
	}
	free(s->chains);
	hash_fini(&s->by_name);
}

static struct seen_chain *add_chain(struct structure *s, const char *name)
{
	struct seen_chain *chain = xcalloc(1, sizeof(*chain));

	chain->name = xstrdup(name);
	s->chains = xgrow(s->chains, s->n_chains, &s->chains_cap,
			  sizeof(struct seen_chain *));
	s->chains[s->n_chains++] = chain;
	(void)hash_put(&s->by_name, chain);
	return chain;
}

static void want_chain(struct structure *s, struct nft_chain chain)
{
	char name[NFT_CHAIN_NAME_LEN];
	struct seen_chain *seen = add_chain(s, nft_chain_name(chain, name));

	seen->chain = chain;
	seen->is_wanted = true;
}

static void want_chains(struct structure *s)
{
	_cleanup_(freep) struct nft_chain *numbered = NULL;
	size_t n;

	for (uint32_t kind = 0; kind < CHAIN_STATIC_N; kind++)
		want_chain(s, (struct nft_chain){.kind = kind});
	numbered = nft_refs_chains(s->c->refs, s->family, &n);
	for (size_t i = 0; i < n; i++)
		want_chain(s, numbered[i]);
}

static struct seen_chain *find_chain(const struct structure *s, const char *name)
{
	return hash_find(&s->by_name, &name);
}

static bool has_shape(const struct nftnl_chain *c, const struct nft_chain_info *info)
{
	if (!info->type || !nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM))
		return !info->type && !nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM);
	return nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) == info->hook &&
	       nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO) == info->priority &&
	       nftnl_chain_is_set(c, NFTNL_CHAIN_TYPE) &&
	       strcmp(nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE), info->type) == 0;
}

static void take_chain(void *data, const struct nftnl_chain *c)
{
	struct structure *s = data;
	const char *name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);
	struct seen_chain *chain = find_chain(s, name);
	const struct nft_chain_info *info;

	if (!chain)
		chain = add_chain(s, name);
	chain->is_there = true;
	if (!chain->is_wanted)
		return;
	info = nft_chain_info(chain->chain.kind);
	if (!has_shape(c, info))
		s->has_wrong_type = true;
	else if (info->type && nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) != NF_ACCEPT)
		chain->has_other_policy = true;
}

/* Its expressions on one line, without its position. */
static void print_rule(const struct nftnl_rule *rule, struct buf *out)
{
	char text[8192];
	const char *p;

	if (nftnl_rule_snprintf(text, sizeof(text), rule, 0, 0) < 0)
		return;
	for (p = strchr(text, '['); p && *p; p++)
		if (*p != '\n' && !(*p == ' ' && p[1] == ' '))
			buf_add_char(out, *p);
	buf_add_char(out, '\n');
}

static void take_rule(void *data, const char *chain_name, const struct nftnl_rule *rule)
{
	struct structure *s = data;
	struct seen_chain *chain = find_chain(s, chain_name);

	if (!chain)
		return;
	if (rule)
		print_rule(rule, &chain->rules);
	else
		buf_add_string(&chain->rules, "[ unknown ]\n");
}

static void add_wanted_rule(void *data, const struct nft_rule *rule)
{
	struct nftnl_rule *r = nft_rule_build(rule);

	print_rule(r, data);
	nftnl_rule_free(r);
}

static int count_expr(struct nftnl_expr *e, void *data)
{
	*(unsigned *)data += 1;
	return 0;
}

static unsigned n_set_exprs(const struct nftnl_set *set)
{
	unsigned n = nftnl_set_is_set(set, NFTNL_SET_EXPR) ? 1 : 0;

	if (!n)
		(void)nftnl_set_expr_foreach(set, count_expr, &n);
	return n;
}

static bool is_same_bytes(const struct nftnl_set *a, const struct nftnl_set *b,
			  uint16_t attr)
{
	uint32_t a_len = 0, b_len = 0;
	const void *x = nftnl_set_get_data(a, attr, &a_len);
	const void *y = nftnl_set_get_data(b, attr, &b_len);

	return a_len == b_len && (!a_len || memcmp(x, y, a_len) == 0);
}

static bool is_same_set(const struct nftnl_set *a, const struct nftnl_set *b)
{
	static const uint16_t numbers[] = {
		NFTNL_SET_FLAGS,     NFTNL_SET_KEY_TYPE, NFTNL_SET_KEY_LEN,
		NFTNL_SET_DATA_TYPE, NFTNL_SET_DATA_LEN, NFTNL_SET_DESC_SIZE,
	};

	for (size_t i = 0; i < N_ELEMENTS(numbers); i++)
		if (nftnl_set_get_u32(a, numbers[i]) != nftnl_set_get_u32(b, numbers[i]))
			return false;
	return nftnl_set_get_u64(a, NFTNL_SET_TIMEOUT) ==
		       nftnl_set_get_u64(b, NFTNL_SET_TIMEOUT) &&
	       is_same_bytes(a, b, NFTNL_SET_USERDATA) &&
	       is_same_bytes(a, b, NFTNL_SET_DESC_CONCAT) &&
	       n_set_exprs(a) == n_set_exprs(b);
}

static void take_set(void *data, const struct nftnl_set *set, int64_t n_elements)
{
	struct structure *s = data;
	const char *name = nftnl_set_get_str(set, NFTNL_SET_NAME);
	enum nft_set which = nft_set_find(name);
	_cleanup_(nftnl_set_freep) struct nftnl_set *wanted = NULL;

	/* deleted with its rule, and not otherwise */
	if (nftnl_set_get_u32(set, NFTNL_SET_FLAGS) & NFT_SET_ANONYMOUS)
		return;
	if (which == SET_N) {
		s->foreign_sets = xgrow(s->foreign_sets, s->n_foreign_sets,
					&s->foreign_sets_cap, sizeof(char *));
		s->foreign_sets[s->n_foreign_sets++] = xstrdup(name);
		return;
	}
	wanted = nft_schema_set(s->family, which);
	s->seen.is_there[which] = true;
	s->seen.n_elements[which] = n_elements;
	if (which == SET_AFFINITY_CLIENTS && s->c->n_clients)
		s->c->n_clients[s->family] = n_elements;
	if (!is_same_set(set, wanted))
		s->has_wrong_type = true;
}

static void take_object(void *data, const struct nft_object *object)
{
	struct structure *s = data;

	s->objects =
		xgrow(s->objects, s->n_objects, &s->objects_cap, sizeof(*s->objects));
	s->objects[s->n_objects] = *object;
	s->objects[s->n_objects++].name = xstrdup(object->name);
}

static int read_structure(struct structure *s)
{
	struct nft_link *link = s->c->link;
	int err = nft_read_sets(link, s->family, take_set, s);

	if (!err)
		err = nft_read_chains(link, s->family, take_chain, s);
	if (!err)
		err = nft_read_rules(link, s->family, take_rule, s);
	if (!err)
		err = nft_read_objects(link, s->family, take_object, s);
	return err;
}

static void report_chain_rules(const struct structure *s, const struct seen_chain *chain)
{
	const struct nft_comparison *c = s->c;
	_cleanup_(buf_fini) struct buf wanted = BUF_INIT;

	nft_rules_each(chain->chain, s->family, c->env, add_wanted_rule, &wanted);
	if (strcmp(buf_string(&wanted), buf_string(&chain->rules)) != 0)
		c->ops->rules(c->data, s->family, chain->chain,
			      buf_string(&chain->rules));
}

/* Chains before rules: those jump to them. */
static void report_structure(const struct structure *s)
{
	const struct nft_comparison *c = s->c;

	for (unsigned set = 0; set < SET_N; set++)
		if (!s->seen.is_there[set])
			c->ops->set(c->data, s->family, set);
	for (size_t i = 0; i < s->n_foreign_sets; i++)
		c->ops->foreign_set(c->data, s->family, s->foreign_sets[i]);
	for (size_t i = 0; i < s->n_chains; i++) {
		const struct seen_chain *chain = s->chains[i];

		if (!chain->is_wanted)
			c->ops->foreign_chain(c->data, s->family, chain->name);
		else if (!chain->is_there || chain->has_other_policy)
			c->ops->chain(c->data, s->family, chain->chain, chain->is_there);
	}
	for (size_t i = 0; i < s->n_objects; i++)
		c->ops->foreign_object(c->data, s->family, &s->objects[i]);
	for (size_t i = 0; i < s->n_chains; i++)
		if (s->chains[i]->is_wanted)
			report_chain_rules(s, s->chains[i]);
}

/* Drops the listing, so that everything is missing. */
static void start_over(struct structure *s)
{
	const struct nft_comparison *c = s->c;
	enum family family = s->family;

	structure_fini(s);
	*s = structure_init(c, family);
	want_chains(s);
}

static int compare_table(struct structure *s, uint32_t flags)
{
	const struct nft_comparison *c = s->c;
	int err = read_structure(s);

	if (err)
		return err;
	if (s->has_wrong_type) {
		c->ops->table(c->data, VERB_DELETE, s->family);
		c->ops->table(c->data, VERB_ADD, s->family);
		start_over(s);
	} else if (flags) { /* another process has made it dormant */
		c->ops->table(c->data, VERB_ADD, s->family);
	}
	return 0;
}

static int compare(struct structure *s)
{
	const struct nft_comparison *c = s->c;
	struct nft_table_info table;
	int err = nft_read_table(c->link, s->family, &table);

	if (err)
		return err;
	if (!c->env->enabled[s->family]) {
		if (table.exists)
			c->ops->table(c->data, VERB_DELETE, s->family);
		return 0;
	}
	want_chains(s);
	if (table.exists)
		err = compare_table(s, table.flags);
	else
		c->ops->table(c->data, VERB_ADD, s->family);
	if (!err)
		report_structure(s);
	return err;
}

int nft_compare_structure(const struct nft_comparison *c, enum family family,
			  struct nft_sets_seen *ret)
{
	struct structure s = structure_init(c, family);
	int err = compare(&s);

	if (!err)
		*ret = s.seen;
	structure_fini(&s);
	return err;
}
