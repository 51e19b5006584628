#include "core/log_limiter.h"

#include "core/hash.h"

bool log_limiter_take(struct log_limiter *l, size_t n, uint64_t now_us)
{
	uint64_t from_us = l->full_at_us > now_us ? l->full_at_us : now_us;

	if (from_us + l->interval_us - now_us > l->burst * l->interval_us) {
		l->n_suppressed += n;
		return false;
	}
	l->full_at_us = from_us + l->interval_us;
	return true;
}

size_t log_limiter_suppressed(struct log_limiter *l)
{
	size_t n = l->n_suppressed;

	l->n_suppressed = 0;
	return n;
}

void log_digest_add(struct log_digest *d, const char *text)
{
	d->next = hash_mix(d->next, hash_string(text)) | 1; /* 0 is the empty message */
}

bool log_digest_is_new(struct log_digest *d)
{
	bool is_new = d->next != d->last;

	d->last = d->next;
	d->next = 0;
	return is_new;
}
