#include "core/backoff.h"

/* Between half of the wait and all of it, so that many nodes do not retry in step. */
static uint64_t jittered(uint64_t wait_us, uint64_t random)
{
	uint64_t half_us = wait_us / 2;

	return half_us + random % (wait_us - half_us + 1);
}

uint64_t backoff_delay(const struct backoff *b, uint64_t now_us, uint64_t random)
{
	uint64_t passed_us = now_us > b->last_us ? now_us - b->last_us : 0;
	uint64_t wait_us = jittered(b->wait_us, random);

	return passed_us < wait_us ? wait_us - passed_us : 0;
}

void backoff_ran(struct backoff *b, uint64_t now_us, bool has_failed)
{
	b->last_us = now_us;
	if (!has_failed)
		b->wait_us = 0;
	else if (!b->wait_us)
		b->wait_us = b->first_us;
	else if (b->wait_us <= UINT64_MAX / 2)
		b->wait_us *= 2;
	if (b->wait_us > b->max_us)
		b->wait_us = b->max_us;
}
