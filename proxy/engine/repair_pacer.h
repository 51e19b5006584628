/*
 * When to revert changes of another process: immediately; if they continue, later
 * and later, down to once a second.  It only computes; the caller owns the clock.
 */
#pragma once

#include <stdint.h>

struct repair_pacer { /* embedded, zeroed */
	uint64_t backoff_us, last_us;
};

/* Time left until the next repair may run. */
uint64_t repair_pacer_delay(const struct repair_pacer *p, uint64_t now_us);
/* One ended now. */
void repair_pacer_ran(struct repair_pacer *p, uint64_t now_us);
