#include "watchers/checks/verdict.h"

#include <stdio.h>

struct check_settings check_settings_of(const struct service_options *options,
					const struct service_times *times)
{
	struct check_settings s = {
		.rise = options->health_rise,
		.fall = options->health_fall,
		.interval_ms = times->health_interval_ms,
		.timeout_ms = times->health_timeout_ms,
	};

	if (!s.rise)
		s.rise = HEALTH_RISE;
	if (!s.fall)
		s.fall = HEALTH_FALL;
	if (!s.interval_ms)
		s.interval_ms = HEALTH_INTERVAL_MS;
	if (!s.timeout_ms)
		s.timeout_ms = s.interval_ms / 2 < HEALTH_TIMEOUT_MS ? s.interval_ms / 2
								     : HEALTH_TIMEOUT_MS;
	return s;
}

bool verdict_note(struct verdict *v, const struct check_settings *settings,
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
	if (v->n_against < (v->is_down ? settings->rise : settings->fall))
		return false;
	v->is_down = has_failed;
	v->n_against = 0;
	return true;
}

uint32_t verdict_gap_ms(const struct verdict *v, const struct check_settings *settings)
{
	if (v->n_against == 0)
		return settings->interval_ms;
	return settings->interval_ms - settings->timeout_ms;
}
