/*
 * Everything is computed from when the last run ended, never from when it was
 * asked: asking again while waiting does not make the wait longer.
 */
#include "core/pacer.h"

#include <errno.h>

#define FIRST_BACKOFF_US 50000u

static uint64_t time_left(uint64_t from_us, uint64_t wait_us, uint64_t now_us)
{
	uint64_t passed_us = now_us > from_us ? now_us - from_us : 0;

	return passed_us < wait_us ? wait_us - passed_us : 0;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Between half of the backoff and all of it, so that many nodes don't retry in step. */
static uint64_t jittered(uint64_t backoff_us, uint64_t random)
{
	uint64_t half_us = backoff_us / 2;

	return half_us + random % (backoff_us - half_us + 1);
}

void pacer_init(struct pacer *p, uint64_t min_gap_us, uint64_t gather_us,
		uint64_t max_backoff_us)
{
	*p = (struct pacer){
		.min_gap_us = min_gap_us,
		.gather_us = gather_us,
		.max_backoff_us = max_backoff_us,
	};
}

uint64_t pacer_delay(const struct pacer *p, uint64_t now_us, uint64_t random)
{
	uint64_t wait_us = max_u64(p->min_gap_us, p->gather_us);

	if (!p->has_run)
		return 0;
	if (p->backoff_us && !p->is_partial)
		wait_us = max_u64(wait_us, jittered(p->backoff_us, random));
	return time_left(p->last_end_us, wait_us, now_us);
}

void pacer_ran(struct pacer *p, uint64_t now_us, int err)
{
	p->has_run = true;
	p->last_end_us = now_us;
	p->is_partial = err == -EREMOTEIO;
	if (!err)
		p->backoff_us = 0;
	else if (!p->backoff_us)
		p->backoff_us = FIRST_BACKOFF_US;
	else if (p->backoff_us <= UINT64_MAX / 2)
		p->backoff_us *= 2;
	if (p->backoff_us > p->max_backoff_us)
		p->backoff_us = p->max_backoff_us;
}

uint64_t pacer_retry(const struct pacer *p, uint64_t now_us, uint64_t random)
{
	if (!p->backoff_us)
		return UINT64_MAX;
	return time_left(p->last_end_us,
			 max_u64(p->min_gap_us, jittered(p->backoff_us, random)), now_us);
}
