#include "proxy/engine/repair_pacer.h"

#define FIRST_US  10000u
#define MAX_US	  1000000u
#define FORGET_US 5000000u

uint64_t repair_pacer_delay(const struct repair_pacer *p, uint64_t now_us)
{
	uint64_t passed_us = now_us - p->last_us;

	return passed_us < p->backoff_us ? p->backoff_us - passed_us : 0;
}

void repair_pacer_ran(struct repair_pacer *p, uint64_t now_us)
{
	if (!p->last_us || now_us - p->last_us > FORGET_US)
		p->backoff_us = 0;
	else if (!p->backoff_us)
		p->backoff_us = FIRST_US;
	else
		p->backoff_us *= 2;
	if (p->backoff_us > MAX_US)
		p->backoff_us = MAX_US;
	p->last_us = now_us;
}
