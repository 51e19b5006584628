/*
 * When a failed operation is tried again: exponentially later, with jitter, up
 * to the limit.  It only computes; the caller owns the clock and the timer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct backoff { /* embedded; the first two are set by the owner */
	uint64_t first_us, max_us;
	uint64_t wait_us; /* 0: the last try succeeded */
	uint64_t last_us; /* when it ended */
};

/* Time left until the next try, 0 after a success; random is any 64-bit number. */
uint64_t backoff_delay(const struct backoff *b, uint64_t now_us, uint64_t random);
/* A try ended at now_us. */
void backoff_ran(struct backoff *b, uint64_t now_us, bool has_failed);
