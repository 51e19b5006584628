#include "proxy/http/busy_services.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/counts.h"

struct busy {
	const struct service *service;
	uint64_t n;
};

static bool is_before(const struct busy *a, const struct busy *b)
{
	if (a->n != b->n)
		return a->n > b->n;
	return service_compare_key(a->service, b->service) < 0;
}

/*
 * Exchanges items until each of the first ones up to the result is before each of the
 * others. 0 <= result < n - 1.
 */
static size_t divide(struct busy *items, size_t n)
{
	const struct busy pivot = items[(n - 1) / 2];
	size_t low = 0, high = n - 1;
	struct busy item;

	for (;; low++, high--) {
		while (is_before(&items[low], &pivot))
			low++;
		while (is_before(&pivot, &items[high]))
			high--;
		if (low >= high)
			return high;
		item = items[low];
		items[low] = items[high];
		items[high] = item;
	}
}

/* Quickselect: the first max ones are before all others. All keys differ. */
static void select_first(struct busy *items, size_t n, size_t max)
{
	while (n > 1 && max > 0 && max < n) {
		size_t n_first = divide(items, n) + 1;

		if (max >= n_first) {
			items += n_first;
			max -= n_first;
			n -= n_first;
		} else {
			n = n_first;
		}
	}
}

const struct service **busy_services(const struct state *state,
				     const struct counts *counts, size_t max,
				     size_t *ret_n)
{
	_cleanup_(freep) struct busy *busy =
		xcalloc(state_n_services(state) + 1, sizeof(*busy));
	const struct service **found, *s;
	size_t n = 0;

	for (size_t i = 0; (s = state_next(state, &i));)
		busy[n++] = (struct busy){s, counts ? counts_total(counts, s,
								   COUNT_CONNECTIONS)
						    : 0};
	select_first(busy, n, max);
	*ret_n = n < max ? n : max;
	found = xcalloc(*ret_n + 1, sizeof(*found));
	for (size_t i = 0; i < *ret_n; i++)
		found[i] = busy[i].service;
	return found;
}
