/*
 * The comparison of a full apply, as lines of text.
 */
#include "rules/nft_inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "rules/nft_compare.h"
#include "rules/nft_elements.h"
#include "rules/nft_rules.h"

#define TRIES_MAX 10

struct diff {
	const struct changeset *full;
	const struct service *service; /* whose elements are being added */
	struct nft_desired desired;
	struct nft_refs refs;
	struct buf *lines;
	size_t n;
};

static void start_line(struct diff *d, char sign, enum family family)
{
	buf_printf(d->lines, "%c %s ", sign, nft_family_name(family));
	d->n++;
}

static void print_table(void *data, enum nft_verb verb, enum family family)
{
	struct diff *d = data;

	start_line(d, verb == VERB_ADD ? '-' : '+', family);
	buf_add_string(d->lines, "table\n");
}

static void print_set(void *data, enum family family, enum nft_set missing)
{
	struct diff *d = data;

	start_line(d, '-', family);
	buf_printf(d->lines, "set %s\n", nft_set_info(missing)->name);
}

static void print_foreign_set(void *data, enum family family, const char *name)
{
	struct diff *d = data;

	start_line(d, '+', family);
	buf_printf(d->lines, "set %s\n", name);
}

static void print_chain(void *data, enum family family, struct nft_chain chain,
			bool is_there)
{
	struct diff *d = data;
	char name[NFT_CHAIN_NAME_LEN];

	start_line(d, '-', family);
	buf_printf(d->lines, "chain %s%s\n", nft_chain_name(chain, name),
		   is_there ? " with policy accept" : "");
}

static void print_foreign_chain(void *data, enum family family, const char *name)
{
	struct diff *d = data;

	start_line(d, '+', family);
	buf_printf(d->lines, "chain %s\n", name);
}

static void print_wanted_rule(void *data, const struct nft_rule *rule)
{
	struct diff *d = data;
	char name[NFT_CHAIN_NAME_LEN];

	start_line(d, '-', rule->family);
	buf_printf(d->lines, "rule %s ", nft_chain_name(rule->chain, name));
	nft_rule_print(rule, d->lines);
	buf_add_char(d->lines, '\n');
}

/* Rules that are there come one a line already, in libnftnl's words. */
static void print_rules(void *data, enum family family, struct nft_chain chain,
			const char *actual)
{
	struct diff *d = data;
	char name[NFT_CHAIN_NAME_LEN];

	nft_rules_each(chain, family, d->full->env, print_wanted_rule, d);
	while (*actual) {
		size_t len = strcspn(actual, "\n");

		start_line(d, '+', family);
		buf_printf(d->lines, "rule %s ", nft_chain_name(chain, name));
		buf_add(d->lines, actual, len);
		buf_add_char(d->lines, '\n');
		actual += len + (actual[len] != '\0');
	}
}

static void print_element(void *data, enum nft_verb verb, const struct nft_element *e,
			  const struct service *service)
{
	struct diff *d = data;
	char label[256];

	start_line(d, verb == VERB_ADD ? '-' : '+', e->family);
	buf_printf(d->lines, "element %s ", nft_set_info(e->set)->name);
	nft_element_print(e, d->lines);
	if (service)
		buf_printf(d->lines, " (%s)",
			   service_label(service, label, sizeof(label)));
	buf_add_char(d->lines, '\n');
}

static const struct nft_difference_ops print_ops = {
	.table = print_table,
	.set = print_set,
	.foreign_set = print_foreign_set,
	.chain = print_chain,
	.foreign_chain = print_foreign_chain,
	.rules = print_rules,
	.element = print_element,
};

static void add_element(void *data, const struct nft_element *e)
{
	struct diff *d = data;

	(void)nft_refs_count(&d->refs, e, 1);
	nft_desired_add(&d->desired, e, d->service);
}

static void want_lingering(struct diff *d, const struct nft_kernel *k)
{
	const uint8_t *bytes;
	uint32_t key[3];
	size_t len;

	for (size_t i = 0; (bytes = nft_keys_next(&k->lingering, &i, &len));) {
		memcpy(key, bytes, sizeof(key));
		nft_refs_count_chain(&d->refs, key[0], (struct nft_chain){key[1], key[2]},
				     1);
	}
}

static void fill_desired(struct diff *d, const struct nft_kernel *k)
{
	want_lingering(d, k);
	for (size_t i = 0; i < d->full->n; i++) {
		d->service = d->full->changes[i].new;
		if (d->service && d->full->env->enabled[d->service->family])
			nft_elements_each(d->service, d->full->env, add_element, d);
	}
	nft_refs_settle(&d->refs, NULL, NULL);
}

static int compare(struct diff *d, struct nft_link *link)
{
	const struct nft_comparison c = {
		.link = link,
		.env = d->full->env,
		.desired = &d->desired,
		.refs = &d->refs,
		.ops = &print_ops,
		.data = d,
	};
	int err = -EINTR;

	for (unsigned i = 0; i < TRIES_MAX && err == -EINTR; i++) {
		buf_clear(d->lines);
		d->n = 0;
		err = nft_compare(&c);
	}
	if (!err)
		nft_compare_missing(&c);
	return err;
}

int nft_diff_print(struct nft_kernel *k, const struct changeset *full,
		   struct buf *ret_lines, size_t *ret_n)
{
	struct diff d = {.full = full, .lines = ret_lines};
	int err;

	nft_refs_init(&d.refs);
	fill_desired(&d, k);
	err = compare(&d, &k->link);
	nft_refs_fini(&d.refs);
	nft_desired_fini(&d.desired);
	if (!err)
		*ret_n = d.n;
	return err;
}
