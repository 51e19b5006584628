/*
 * Two ways: a dump, which finds everything, and whose time grows with the
 * square of the set's size, because each part of it starts from the beginning;
 * or asking for each element that should be, which says nothing of others, but
 * for their number.
 */
#include "rules/nft_compare_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "rules/nft_read.h"

/* Below, a dump is quicker; with more missing than that, it is no slower. */
#define ASK_FROM_ELEMENTS 2000
#define ASK_MISSING_MAX	  200

static void take_element(void *data, const struct nft_read_element *read)
{
	const struct nft_comparison *c = data;
	struct nft_desired_item *item =
		read->is_catchall ? NULL : nft_desired_find(c->desired, &read->e);

	if (item && nft_desired_has_value(item, &read->e)) {
		item->state = DESIRED_PRESENT;
		return;
	}
	if (item)
		item->state = DESIRED_DIFFERENT;
	c->ops->element(c->data, VERB_DELETE, &read->e, item ? item->service : NULL);
}

/* What is being asked for by key, and how far. */
struct asking {
	const struct nft_comparison *c;
	struct nft_element keys[NFT_READ_KEYS_MAX];
	struct nft_desired_item *items[NFT_READ_KEYS_MAX];
	size_t n, n_answered;
	int64_t n_found;
	unsigned n_missing;
	struct nft_element *different; /* as they are */
	size_t n_different, different_cap;
};

static void take_answer(void *data, const struct nft_read_element *read)
{
	struct asking *a = data;
	struct nft_desired_item *item;

	if (a->n_answered == a->n)
		return;
	item = a->items[a->n_answered++];
	if (read->e.key_len != item->key_len ||
	    memcmp(read->e.key, item->bytes, item->key_len) != 0)
		return; /* the count won't be right, then */
	a->n_found++;
	item->state = DESIRED_PRESENT;
	if (nft_desired_has_value(item, &read->e))
		return;
	item->state = DESIRED_DIFFERENT;
	a->different = xgrow(a->different, a->n_different, &a->different_cap,
			     sizeof(*a->different));
	a->different[a->n_different++] = read->e;
}

static int ask(struct asking *a)
{
	size_t done = 0;

	while (done < a->n) {
		int err;

		a->n_answered = done;
		err = nft_read_keys(a->c->link, a->keys + done, a->n - done, take_answer,
				    a);
		if (err && err != -ENOENT)
			return err;
		if (err && ++a->n_missing > ASK_MISSING_MAX)
			return err;
		done = err ? a->n_answered + 1 : a->n;
	}
	a->n = 0;
	return 0;
}

static int ask_for_all(struct asking *a, enum family family, enum nft_set set)
{
	struct nft_desired_item *item;
	int err = 0;

	for (size_t at = 0; !err && (item = nft_desired_next(a->c->desired, &at));) {
		if (item->set != set || item->family != family)
			continue;
		a->items[a->n] = item;
		a->keys[a->n++] = nft_desired_element(item);
		if (a->n == NFT_READ_KEYS_MAX)
			err = ask(a);
	}
	return err ? err : ask(a);
}

/*
 * Asks for every element that should be. When as many were found as the set
 * has, nothing else is in it, and a dump can be spared. False: only a dump helps.
 */
static bool compare_by_keys(const struct nft_comparison *c, enum family family,
			    enum nft_set set, int64_t n_elements)
{
	struct asking a = {.c = c};
	struct nft_desired_item *item;
	bool is_all;

	if (n_elements < ASK_FROM_ELEMENTS)
		return false;
	is_all = !ask_for_all(&a, family, set) && a.n_found == n_elements;
	for (size_t i = 0; is_all && i < a.n_different; i++)
		c->ops->element(c->data, VERB_DELETE, &a.different[i], NULL);
	free(a.different);
	for (size_t at = 0; !is_all && (item = nft_desired_next(c->desired, &at));)
		if (item->set == set && item->family == family)
			item->state = DESIRED_MISSING;
	return is_all;
}

int nft_compare_set(const struct nft_comparison *c, enum family family, enum nft_set set,
		    int64_t n_elements)
{
	if (compare_by_keys(c, family, set, n_elements))
		return 0;
	return nft_read_elements(c->link, family, set, take_element,
				 (void *)(uintptr_t)c);
}

void nft_compare_missing(const struct nft_comparison *c)
{
	const struct nft_desired_item *item;

	for (size_t at = 0; (item = nft_desired_next(c->desired, &at));)
		if (item->state != DESIRED_PRESENT) {
			struct nft_element e = nft_desired_element(item);

			c->ops->element(c->data, VERB_ADD, &e, item->service);
		}
}
