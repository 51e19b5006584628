/*
 * The comparison of a full apply, as lines of text, in steps: first the wanted
 * elements are collected, then the kernel's are compared with them.  When the
 * ruleset changes between steps, the caller starts over.
 */
#include "rules/nft/nft_inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_compare.h"
#include "rules/nft/nft_elements.h"
#include "rules/nft/nft_rules.h"

#define SERVICES_A_STEP 200

struct nft_diff {
	struct sink_diff diff;
	struct nft_kernel *kernel;
	const struct changeset *full;
	uint32_t generation;
	size_t next;		       /* service to be added */
	const struct service *service; /* whose elements are being added */
	struct nft_desired desired;
	struct nft_refs refs;
	struct nft_comparison comparison;
	struct nft_comparing *comparing; /* NULL: not yet */
	struct buf lines;
	size_t n;
};

static void start_line(struct nft_diff *d, char sign, enum family family)
{
	buf_printf(&d->lines, "%c %s ", sign, nft_family_name(family));
	d->n++;
}

static void print_table(void *data, enum nft_verb verb, enum family family)
{
	struct nft_diff *d = data;

	start_line(d, verb == VERB_ADD ? '-' : '+', family);
	buf_add_string(&d->lines, "table\n");
}

static void print_set(void *data, enum family family, enum nft_set missing)
{
	struct nft_diff *d = data;

	start_line(d, '-', family);
	buf_printf(&d->lines, "set %s\n", nft_set_info(missing)->name);
}

static void print_foreign_set(void *data, enum family family, const char *name)
{
	struct nft_diff *d = data;

	start_line(d, '+', family);
	buf_printf(&d->lines, "set %s\n", name);
}

static void print_chain(void *data, enum family family, struct nft_chain chain,
			bool is_there)
{
	struct nft_diff *d = data;
	char name[NFT_CHAIN_NAME_LEN];

	start_line(d, '-', family);
	buf_printf(&d->lines, "chain %s%s\n", nft_chain_name(chain, name),
		   is_there ? " with policy accept" : "");
}

static void print_foreign_chain(void *data, enum family family, const char *name)
{
	struct nft_diff *d = data;

	start_line(d, '+', family);
	buf_printf(&d->lines, "chain %s\n", name);
}

static void print_foreign_object(void *data, enum family family,
				 const struct nft_object *object)
{
	struct nft_diff *d = data;

	start_line(d, '+', family);
	buf_printf(&d->lines, "%s %s\n", object->is_flowtable ? "flowtable" : "object",
		   object->name);
}

static void print_wanted_rule(void *data, const struct nft_rule *rule)
{
	struct nft_diff *d = data;
	char name[NFT_CHAIN_NAME_LEN];

	start_line(d, '-', rule->family);
	buf_printf(&d->lines, "rule %s ", nft_chain_name(rule->chain, name));
	nft_rule_print(rule, &d->lines);
	buf_add_char(&d->lines, '\n');
}

/* Existing rules come one to a line, as libnftnl prints them. */
static void print_rules(void *data, enum family family, struct nft_chain chain,
			const char *actual)
{
	struct nft_diff *d = data;
	char name[NFT_CHAIN_NAME_LEN];

	nft_rules_each(chain, family, d->full->env, print_wanted_rule, d);
	while (*actual) {
		size_t len = strcspn(actual, "\n");

		start_line(d, '+', family);
		buf_printf(&d->lines, "rule %s ", nft_chain_name(chain, name));
		buf_add(&d->lines, actual, len);
		buf_add_char(&d->lines, '\n');
		actual += len + (actual[len] != '\0');
	}
}

static void print_element(void *data, enum nft_verb verb, const struct nft_element *e,
			  const struct service *service)
{
	struct nft_diff *d = data;
	char label[256];

	start_line(d, verb == VERB_ADD ? '-' : '+', e->family);
	buf_printf(&d->lines, "element %s ", nft_set_info(e->set)->name);
	nft_element_print(e, &d->lines);
	if (service)
		buf_printf(&d->lines, " (%s)",
			   service_label(service, label, sizeof(label)));
	buf_add_char(&d->lines, '\n');
}

static const struct nft_difference_ops print_ops = {
	.table = print_table,
	.set = print_set,
	.foreign_set = print_foreign_set,
	.chain = print_chain,
	.foreign_chain = print_foreign_chain,
	.foreign_object = print_foreign_object,
	.rules = print_rules,
	.element = print_element,
};

static void add_element(void *data, const struct nft_element *e)
{
	struct nft_diff *d = data;

	(void)nft_refs_count(&d->refs, e, 1);
	nft_desired_add(&d->desired, e, d->service);
}

static void want_deferred(struct nft_diff *d)
{
	const struct nft_keys *deferred = &d->kernel->deferred;
	const uint8_t *bytes;
	uint32_t key[3];
	size_t len;

	for (size_t i = 0; (bytes = nft_keys_next(deferred, &i, &len));) {
		memcpy(key, bytes, sizeof(key));
		nft_refs_count_chain(&d->refs, key[0], (struct nft_chain){key[1], key[2]},
				     1);
	}
}

static void want_services(struct nft_diff *d)
{
	size_t end = d->next + SERVICES_A_STEP;

	for (; d->next < d->full->n && d->next < end; d->next++) {
		d->service = d->full->changes[d->next].new;
		if (d->service && d->full->env->enabled[d->service->family])
			nft_elements_each(d->service, d->full->env, &d->kernel->numbers,
					  add_element, d);
	}
}

static void start_comparing(struct nft_diff *d)
{
	d->service = NULL;
	nft_elements_each_of_node(d->full->env, add_element, d);
	want_deferred(d);
	nft_refs_settle(&d->refs, NULL, NULL);
	d->comparison = (struct nft_comparison){
		.link = &d->kernel->link,
		.env = d->full->env,
		.desired = &d->desired,
		.refs = &d->refs,
		.ops = &print_ops,
		.data = d,
	};
	d->comparing = nft_comparing_new(&d->comparison);
}

/* -EINTR when the ruleset has changed since the first step. */
static int check_generation(struct nft_diff *d)
{
	uint32_t now = 0;
	int err = nft_link_generation(&d->kernel->link, &now);

	if (!err && !d->generation)
		d->generation = now;
	return err ? err : now == d->generation ? 0 : -EINTR;
}

static struct nft_diff *nft_diff_of(const struct sink_diff *diff)
{
	return container_of((struct sink_diff *)(uintptr_t)diff, struct nft_diff, diff);
}

static void nft_diff_free(struct sink_diff *diff)
{
	struct nft_diff *d = nft_diff_of(diff);

	nft_comparing_free(d->comparing);
	nft_refs_fini(&d->refs);
	nft_desired_fini(&d->desired);
	buf_fini(&d->lines);
	free(d);
}

static int nft_diff_step(struct sink_diff *diff)
{
	struct nft_diff *d = nft_diff_of(diff);
	int err = check_generation(d);

	if (err)
		return err;
	if (d->next < d->full->n) {
		want_services(d);
		return 1;
	}
	if (!d->comparing)
		start_comparing(d);
	err = nft_comparing_step(d->comparing);
	if (err)
		return err;
	nft_compare_missing(&d->comparison);
	return check_generation(d);
}

static const char *nft_diff_lines(const struct sink_diff *diff, size_t *ret_n)
{
	const struct nft_diff *d = nft_diff_of(diff);

	*ret_n = d->n;
	return buf_string(&d->lines);
}

static const struct sink_diff_ops nft_diff_ops = {
	.step = nft_diff_step,
	.lines = nft_diff_lines,
	.free = nft_diff_free,
};

struct sink_diff *nft_diff_new(struct nft_kernel *k, const struct changeset *full)
{
	struct nft_diff *d = xcalloc(1, sizeof(*d));

	d->diff.ops = &nft_diff_ops;
	d->kernel = k;
	d->full = full;
	nft_refs_init(&d->refs);
	return &d->diff;
}
