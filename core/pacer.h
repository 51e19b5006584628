/*
 * When the next sync may run: the first change at once, then not more often
 * than the gap, and later and later after failures (exponential with jitter,
 * up to the limit).  It only computes; the caller owns the clock and the timer.
 *
 * A run that ended with -EREMOTEIO (some services refused, the rest holds) is
 * retried with the same backoff, but new changes do not wait for that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pacer {		     /* embedded */
	uint64_t min_gap_us; /* from the end of one run to the next */
	uint64_t gather_us;  /* the same, where no gap is asked for: gathers a burst */
	uint64_t max_backoff_us;
	uint64_t last_end_us;
	uint64_t backoff_us; /* 0: the last run succeeded */
	bool is_partial;     /* it failed with -EREMOTEIO */
	bool has_run;
};

void pacer_init(struct pacer *p, uint64_t min_gap_us, uint64_t gather_us,
		uint64_t max_backoff_us);
/* Something changed: how long to wait from now_us before running; random is any 64-bit number. */
uint64_t pacer_delay(const struct pacer *p, uint64_t now_us, uint64_t random);
/* A run ended at now_us with this result. */
void pacer_ran(struct pacer *p, uint64_t now_us, int err);
/* Time left until a failed run is tried again without new changes; UINT64_MAX: it didn't fail. */
uint64_t pacer_retry(const struct pacer *p, uint64_t now_us, uint64_t random);
