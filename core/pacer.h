/*
 * When a change may run: the first one immediately, then not more often than
 * the gap.  It only computes; the caller owns the clock and the timer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pacer {		 /* embedded */
	uint64_t gap_us; /* from the end of one run to the start of the next */
	uint64_t last_end_us;
	bool has_run;
};

/* How long to wait from now_us before running. */
uint64_t pacer_delay(const struct pacer *p, uint64_t now_us);
/* A run ended at now_us. */
void pacer_ran(struct pacer *p, uint64_t now_us);
