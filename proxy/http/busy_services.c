#include "proxy/http/busy_services.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/counts.h"

struct busy {
	const struct service *service;
	uint64_t n;
	size_t index; /* in the order of names */
};

static int compare_busy(const void *a, const void *b)
{
	const struct busy *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static int compare_index(const void *a, const void *b)
{
	const struct busy *x = a, *y = b;

	return x->index < y->index ? -1 : 1;
}

/* The n services with the most connections come first, by name. */
static void put_busy_first(const struct service **all, size_t n_all, size_t n,
			   const struct counts *counts)
{
	_cleanup_(freep) struct busy *busy = xcalloc(n_all + 1, sizeof(*busy));

	for (size_t i = 0; i < n_all; i++)
		busy[i] =
			(struct busy){all[i],
				      counts_total(counts, all[i], COUNT_CONNECTIONS), i};
	qsort(busy, n_all, sizeof(*busy), compare_busy);
	qsort(busy, n, sizeof(*busy), compare_index);
	for (size_t i = 0; i < n; i++)
		all[i] = busy[i].service;
}

const struct service **busy_services(const struct state *state,
				     const struct counts *counts, size_t max,
				     size_t *ret_n)
{
	size_t n;
	const struct service **all = state_sorted(state, &n);

	if (n > max && counts)
		put_busy_first(all, n, max, counts);
	*ret_n = n < max ? n : max;
	return all;
}
