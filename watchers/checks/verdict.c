#include "watchers/checks/verdict.h"

#include <stdio.h>

bool verdict_note(struct verdict *v, const struct service_options *options,
		  const char *why_failed)
{
	bool has_failed = why_failed != NULL;

	if (has_failed)
		(void)snprintf(v->why, sizeof(v->why), "%s", why_failed);
	if (has_failed == v->is_down) {
		v->n_against = 0;
		return false;
	}
	v->n_against++;
	if (v->n_against < (v->is_down ? options->health_rise : options->health_fall))
		return false;
	v->is_down = has_failed;
	v->n_against = 0;
	return true;
}

uint32_t verdict_gap_ms(const struct verdict *v, const struct service_times *times)
{
	if (v->n_against == 0)
		return times->health_interval_ms;
	return times->health_interval_ms - times->health_timeout_ms;
}
