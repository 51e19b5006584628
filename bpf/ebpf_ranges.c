#include "bpf/ebpf_ranges.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* Class 0 is 1; then 2, 3, 4, 6, 8, 12, 16, 24, … */
static uint32_t class_len(unsigned class)
{
	if (class == 0)
		return 1;
	return (class & 1 ? 2u : 3u) << ((class - 1) / 2);
}

static unsigned class_of(uint32_t n)
{
	unsigned class = 0;

	while (class_len(class) < n)
		class ++;
	assert(class < EBPF_RANGE_CLASSES);
	return class;
}

static void push(struct ebpf_range_list *list, uint32_t first)
{
	list->first = xgrow(list->first, list->n, &list->cap, sizeof(*list->first));
	list->first[list->n++] = first;
}

uint32_t ebpf_ranges_rounded(uint32_t n)
{
	return class_len(class_of(n));
}

void ebpf_ranges_fini(struct ebpf_ranges *r)
{
	for (unsigned i = 0; i < EBPF_RANGE_CLASSES; i++) {
		free(r->free[i].first);
		free(r->limbo[i].first);
	}
	*r = (struct ebpf_ranges){0};
}

static int compare(const void *a, const void *b)
{
	const struct ebpf_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* The gap becomes runs, largest class first. */
static void add_gap(struct ebpf_ranges *r, uint32_t first, uint32_t end)
{
	while (first < end) {
		unsigned class = class_of(end - first);

		if (class_len(class) > end - first)
			class --;
		push(&r->limbo[class], first);
		r->n_limbo++;
		first += class_len(class);
	}
}

bool ebpf_ranges_init(struct ebpf_ranges *r, uint32_t cap, struct ebpf_range *used,
		      size_t n)
{
	*r = (struct ebpf_ranges){.cap = cap};
	if (n)
		qsort(used, n, sizeof(*used), compare);
	for (size_t i = 0; i < n; i++) {
		uint32_t len = ebpf_ranges_rounded(used[i].n);

		if (used[i].first < r->next || used[i].first > cap ||
		    len > cap - used[i].first) {
			ebpf_ranges_fini(r);
			return false;
		}
		add_gap(r, r->next, used[i].first);
		r->next = used[i].first + len;
	}
	return true;
}

void ebpf_ranges_want(struct ebpf_ranges *r, uint32_t n)
{
	r->wanted[class_of(n)]++;
}

uint32_t ebpf_ranges_lack(const struct ebpf_ranges *r)
{
	uint32_t lack = 0;

	for (unsigned i = 0; i < EBPF_RANGE_CLASSES; i++)
		if (r->wanted[i] > r->free[i].n)
			lack += (r->wanted[i] - (uint32_t)r->free[i].n) * class_len(i);
	return lack;
}

void ebpf_ranges_want_none(struct ebpf_ranges *r)
{
	memset(r->wanted, 0, sizeof(r->wanted));
}

uint32_t ebpf_ranges_available(const struct ebpf_ranges *r)
{
	uint32_t n = r->cap - r->next;

	for (unsigned i = 0; i < EBPF_RANGE_CLASSES; i++)
		n += (uint32_t)r->free[i].n * class_len(i);
	return n;
}

uint32_t ebpf_ranges_take(struct ebpf_ranges *r, uint32_t n)
{
	unsigned class = class_of(n);
	uint32_t len = class_len(class), first = r->next;

	if (r->free[class].n)
		return r->free[class].first[--r->free[class].n];
	if (len > r->cap - r->next)
		return EBPF_RANGE_NONE;
	r->next += len;
	return first;
}

void ebpf_ranges_give_back(struct ebpf_ranges *r, struct ebpf_range range)
{
	if (range.n == 0)
		return;
	push(&r->limbo[class_of(range.n)], range.first);
	r->n_limbo++;
}

void ebpf_ranges_settle(struct ebpf_ranges *r)
{
	for (unsigned i = 0; i < EBPF_RANGE_CLASSES; i++) {
		for (size_t k = 0; k < r->limbo[i].n; k++)
			push(&r->free[i], r->limbo[i].first[k]);
		r->limbo[i].n = 0;
	}
	r->n_limbo = 0;
}
