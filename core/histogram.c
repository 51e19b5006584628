/*
 * Buckets are kept apart and added up when they are written.
 */
#include "core/histogram.h"

#include <assert.h>

struct histogram_bounds histogram_exponential(double first, double factor, size_t n)
{
	struct histogram_bounds b = {.n = n};

	assert(n <= HISTOGRAM_MAX_BOUNDS);
	for (size_t i = 0; i < n; i++, first *= factor)
		b.le[i] = first;
	return b;
}

struct histogram_bounds histogram_network_programming(void)
{
	struct histogram_bounds b = {.n = 3, .le = {0, 0.25, 0.5}};

	for (int s = 1; s <= 59; s++)
		b.le[b.n++] = s;
	for (int s = 60; s <= 115; s += 5)
		b.le[b.n++] = s;
	for (int s = 120; s <= 300; s += 30)
		b.le[b.n++] = s;
	assert(b.n <= HISTOGRAM_MAX_BOUNDS);
	return b;
}

void histogram_observe(struct histogram *h, const struct histogram_bounds *bounds,
		       double value)
{
	size_t i = 0;

	while (i < bounds->n && value > bounds->le[i])
		i++;
	h->counts[i]++;
	h->n++;
	h->sum += value;
}
