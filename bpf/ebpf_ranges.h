/*
 * Runs of consecutive slots, one for each pool. Lengths are rounded up to a
 * class (1, 2, 3, 4, 6, 8, 12, …), and a run that was given back serves the
 * same class again, after a grace period as in ebpf_ids.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EBPF_RANGE_CLASSES 40
#define EBPF_RANGE_NONE	   UINT32_MAX

struct ebpf_range {
	uint32_t first, n; /* n as asked for; 0: no range */
};

struct ebpf_range_list {
	uint32_t *first;
	size_t n, cap;
};

struct ebpf_ranges { /* embedded; zeroed is empty */
	uint32_t cap, next;
	struct ebpf_range_list free[EBPF_RANGE_CLASSES], limbo[EBPF_RANGE_CLASSES];
	size_t n_limbo;
	uint32_t wanted
		[EBPF_RANGE_CLASSES]; /* runs that the change which is due may take */
};

void ebpf_ranges_fini(struct ebpf_ranges *r);
/* Starts with these in use; sorts them. False when they overlap or are out of bounds. */
bool ebpf_ranges_init(struct ebpf_ranges *r, uint32_t cap, struct ebpf_range *used,
		      size_t n);
/* Slots that a run of n takes. */
uint32_t ebpf_ranges_rounded(uint32_t n);
/* A change may take such a run. */
void ebpf_ranges_want(struct ebpf_ranges *r, uint32_t n);
/* Slots that runs which are wanted need beyond those that are free. */
uint32_t ebpf_ranges_lack(const struct ebpf_ranges *r);
void ebpf_ranges_want_none(struct ebpf_ranges *r);
/* Slots that can be taken without a grace period, by runs of some length. */
uint32_t ebpf_ranges_available(const struct ebpf_ranges *r);
/* First slot of n > 0 consecutive ones, or EBPF_RANGE_NONE. */
uint32_t ebpf_ranges_take(struct ebpf_ranges *r, uint32_t n);
void ebpf_ranges_give_back(struct ebpf_ranges *r, struct ebpf_range range);
void ebpf_ranges_settle(struct ebpf_ranges *r);
