/*
 * Keeps a repeated message from filling the log: a token bucket for lines, and
 * a digest that answers whether a message is the same as last time.  Both only
 * compute; the caller owns the clock and writes the lines.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_limiter {	      /* embedded; set burst and interval_us, zero the rest */
	unsigned burst;	      /* so many lines may come together */
	uint64_t interval_us; /* after them, one line each interval */
	uint64_t full_at_us;  /* when the bucket will be full again */
	size_t n_suppressed;  /* lines refused since the last log_limiter_suppressed() */
};

/* May n lines be logged now? A refusal counts them; one grant is one line. */
bool log_limiter_take(struct log_limiter *l, size_t n, uint64_t now_us);
/* How many lines were refused since the last call. */
size_t log_limiter_suppressed(struct log_limiter *l);

struct log_digest { /* embedded, zeroed */
	uint64_t last, next;
};

void log_digest_add(struct log_digest *d, const char *text);
/* Ends a message. True: it differs from the one before; an empty one is the initial state. */
bool log_digest_is_new(struct log_digest *d);
