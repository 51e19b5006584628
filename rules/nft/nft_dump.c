/*
 * The ruleset as text, from the same tables that program the kernel.
 */
#include "rules/nft/nft.h"

#include <linux/netfilter.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_elements.h"
#include "rules/nft/nft_refs.h"
#include "rules/nft/nft_rules.h"

struct dump {
	const struct environment *env;
	struct buf elements[FAMILY_N][SET_N];
	struct nft_refs refs;
	struct nft_numbers *numbers;
};

static void print_element(struct buf *out, const struct nft_element *e)
{
	buf_add_string(out, out->len ? ",\n\t\t\t     " : "\t\telements = { ");
	nft_element_print(e, out);
}

static void take_element(void *data, const struct nft_element *e)
{
	struct dump *d = data;

	if (!nft_refs_count(&d->refs, e, 1))
		print_element(&d->elements[e->family][e->set], e);
}

static void take_shared(void *data, bool is_wanted, const struct nft_element *e)
{
	struct dump *d = data;

	(void)is_wanted; /* all are: nothing has been settled before */
	print_element(&d->elements[e->family][e->set], e);
}

static void take_chain(void *data, bool is_wanted, enum family family,
		       struct nft_chain chain)
{
	(void)chain; /* nft_refs_chains() lists them later, in order */
}

/* The type in nft's syntax of a field whose type has no name. */
static void print_typeof(enum nft_field field, enum family family, struct buf *out)
{
	const struct nft_field_info *info = nft_field(field);

	if (info->text[family])
		buf_add_string(out, info->text[family]);
	else
		buf_printf(out, "numgen random mod %u",
			   field == FIELD_SLOT ? NFT_SLOT_MODULUS : NFT_HASH_MODULUS);
}

static void print_shape(enum nft_shape shape, enum family family, bool is_named,
			struct buf *out)
{
	const uint8_t *fields = nft_shape_fields(shape, family);

	for (unsigned i = 0; i < NFT_SHAPE_MAX && fields[i]; i++) {
		buf_add_string(out, i ? " . " : "");
		if (is_named)
			buf_add_string(out, nft_field_type(fields[i], family));
		else
			print_typeof(fields[i], family, out);
	}
}

static void print_set(const struct dump *d, enum family family, enum nft_set set,
		      struct buf *out)
{
	const struct nft_set_info *info = nft_set_info(set);
	bool is_named = nft_shape_is_named(info->key, family);

	buf_printf(out, "\t%s %s {\n\t\t%s ", nft_set_is_map(set) ? "map" : "set",
		   info->name, is_named ? "type" : "typeof");
	print_shape(info->key, family, is_named, out);
	if (nft_set_is_map(set))
		buf_add_string(out, " : ");
	if (info->flags & SET_HAS_VERDICTS)
		buf_add_string(out, "verdict");
	else
		print_shape(info->data, family, is_named, out);
	buf_add_char(out, '\n');
	if (info->flags & SET_IS_LEARNED)
		buf_printf(out,
			   "\t\tsize %u\n\t\tflags dynamic,timeout\n\t\ttimeout %us\n",
			   NFT_LEARNED_SIZE, NFT_LEARNED_TIMEOUT_SEC);
	if (info->flags & SET_HAS_INTERVALS)
		buf_add_string(out, "\t\tflags interval\n");
	if (info->flags & SET_COUNTS)
		buf_add_string(out, "\t\tcounter\n");
	if (d->elements[family][set].len)
		buf_printf(out, "%s }\n", buf_string(&d->elements[family][set]));
	buf_add_string(out, "\t}\n\n");
}

static void print_rule(void *data, const struct nft_rule *rule)
{
	struct buf *out = data;

	buf_add_string(out, "\t\t");
	nft_rule_print(rule, out);
	buf_add_char(out, '\n');
}

static void print_chain(const struct dump *d, enum family family, struct nft_chain chain,
			struct buf *out)
{
	const struct nft_chain_info *info = nft_chain_info(chain.kind);
	char name[NFT_CHAIN_NAME_LEN];

	buf_printf(out, "\tchain %s {\n", nft_chain_name(chain, name));
	if (info->type)
		buf_printf(out, "\t\ttype %s hook %s priority %d; policy accept;\n",
			   info->type, nft_hook_name(info->hook), info->priority);
	nft_rules_each(chain, family, d->env, print_rule, out);
	buf_add_string(out, "\t}\n\n");
}

static void print_table(const struct dump *d, enum family family, struct buf *out)
{
	_cleanup_(freep) struct nft_chain *chains = NULL;
	size_t n;

	chains = nft_refs_chains(&d->refs, family, &n);
	buf_printf(out, "table %s " NFT_TABLE_NAME " {\n", nft_family_name(family));
	for (unsigned set = 0; set < SET_N; set++)
		print_set(d, family, set, out);
	for (uint32_t kind = 0; kind < CHAIN_STATIC_N; kind++)
		print_chain(d, family, (struct nft_chain){kind, 0}, out);
	for (size_t i = 0; i < n; i++)
		print_chain(d, family, chains[i], out);
	buf_add_string(out, "}\n");
}

void nft_dump(const struct changeset *full, struct buf *out)
{
	static const struct nft_refs_ops ops = {take_shared, take_chain};
	struct dump d = {.env = full->env, .numbers = xcalloc(1, sizeof(*d.numbers))};

	nft_refs_init(&d.refs);
	nft_numbers_init(d.numbers);
	nft_elements_each_of_node(full->env, take_element, &d);
	for (size_t i = 0; i < full->n; i++)
		if (full->changes[i].new &&
		    full->env->enabled[full->changes[i].new->family])
			nft_elements_each(full->changes[i].new, full->env, d.numbers,
					  take_element, &d);
	nft_refs_settle(&d.refs, &ops, &d);
	for (unsigned family = 0; family < FAMILY_N; family++) {
		if (full->env->enabled[family])
			print_table(&d, family, out);
		for (unsigned set = 0; set < SET_N; set++)
			buf_fini(&d.elements[family][set]);
	}
	nft_refs_fini(&d.refs);
	nft_numbers_fini(d.numbers);
	free(d.numbers);
}
