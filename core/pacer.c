/*
 * The delay is computed from the end of the last run, not from the time of the
 * request: another request while waiting does not make the wait longer.
 */
#include "core/pacer.h"

uint64_t pacer_delay(const struct pacer *p, uint64_t now_us)
{
	uint64_t passed_us = now_us > p->last_end_us ? now_us - p->last_end_us : 0;

	return p->has_run && passed_us < p->gap_us ? p->gap_us - passed_us : 0;
}

void pacer_ran(struct pacer *p, uint64_t now_us)
{
	p->has_run = true;
	p->last_end_us = now_us;
}
