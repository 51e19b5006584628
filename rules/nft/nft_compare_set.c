/*
 * Two ways: a dump, which finds everything, and whose time grows with the square
 * of the set's size, because the kernel starts each part of it from the first
 * element; or a request for each desired element, which finds no others, but
 * their number shows that there are some.
 */
#include "rules/nft/nft_compare_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "rules/nft/nft_read.h"

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

/* Elements that are requested by key, and the progress. */
struct nft_set_comparison {
	const struct nft_comparison *c;
	enum family family;
	enum nft_set set;
	int64_t n_elements;
	bool is_asking; /* false: a dump comes next */
	size_t at;	/* in the desired elements */
	struct nft_element keys[NFT_READ_KEYS_MAX];
	struct nft_desired_item *items[NFT_READ_KEYS_MAX];
	size_t n, n_answered;
	int64_t n_found;
	unsigned n_missing;
	struct nft_element *different; /* as they are in the kernel */
	size_t n_different, different_cap;
};

static void take_answer(void *data, const struct nft_read_element *read)
{
	struct nft_set_comparison *a = data;
	struct nft_desired_item *item;

	if (a->n_answered == a->n)
		return;
	item = a->items[a->n_answered++];
	if (read->e.key_len != item->key_len ||
	    memcmp(read->e.key, item->bytes, item->key_len) != 0)
		return; /* then the number of elements shows it */
	a->n_found++;
	item->state = DESIRED_PRESENT;
	if (nft_desired_has_value(item, &read->e))
		return;
	item->state = DESIRED_DIFFERENT;
	a->different = xgrow(a->different, a->n_different, &a->different_cap,
			     sizeof(*a->different));
	a->different[a->n_different++] = read->e;
}

static int ask(struct nft_set_comparison *a)
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

/* The next keys: 1, or 0 after the last ones. */
static int ask_for_some(struct nft_set_comparison *a)
{
	struct nft_desired_item *item = NULL;
	int err;

	while (a->n < NFT_READ_KEYS_MAX &&
	       (item = nft_desired_next(a->c->desired, &a->at))) {
		if (item->set != a->set || item->family != a->family)
			continue;
		a->items[a->n] = item;
		a->keys[a->n++] = nft_desired_element(item);
	}
	err = ask(a);
	return err ? err : item != NULL;
}

/*
 * When as many desired elements were found as the set has, it has no others, and
 * a dump is not needed.
 */
static int finish_asking(struct nft_set_comparison *a)
{
	struct nft_desired_item *item;

	a->is_asking = false;
	if (a->n_found != a->n_elements) {
		for (size_t at = 0; (item = nft_desired_next(a->c->desired, &at));)
			if (item->set == a->set && item->family == a->family)
				item->state = DESIRED_MISSING;
		return 1;
	}
	for (size_t i = 0; i < a->n_different; i++)
		a->c->ops->element(a->c->data, VERB_DELETE, &a->different[i], NULL);
	return 0;
}

struct nft_set_comparison *nft_set_comparison_new(const struct nft_comparison *c,
						  enum family family, enum nft_set set,
						  int64_t n_elements)
{
	struct nft_set_comparison *s = xcalloc(1, sizeof(*s));

	s->c = c;
	s->family = family;
	s->set = set;
	s->n_elements = n_elements;
	s->is_asking = n_elements >= ASK_FROM_ELEMENTS;
	return s;
}

void nft_set_comparison_free(struct nft_set_comparison *s)
{
	if (!s)
		return;
	free(s->different);
	free(s);
}

int nft_set_comparison_step(struct nft_set_comparison *s)
{
	int err;

	if (!s->is_asking) {
		err = nft_read_elements(s->c->link, s->family, s->set, take_element,
					(void *)(uintptr_t)s->c);
		return err == -ENOENT ? -EINTR : err; /* deleted since it was listed */
	}
	err = ask_for_some(s);
	if (err == 1)
		return 1;
	if (err)
		s->n_found = -1; /* only a dump helps */
	return finish_asking(s);
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
