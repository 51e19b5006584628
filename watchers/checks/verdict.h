/*
 * The verdict of one endpoint's checks: up or down, and the number of results in a row
 * that contradict it.  It only computes.
 *
 * An endpoint is up until `fall` checks in a row have failed, and then down until
 * `rise` checks in a row have succeeded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/service_options.h"

#define VERDICT_WHY_LEN 96

struct check_settings {
	uint8_t rise, fall;
	uint32_t interval_ms, timeout_ms;
};

struct verdict { /* embedded, zeroed: up */
	bool is_down;
	uint8_t n_against;	   /* results in a row that differ from is_down */
	char why[VERDICT_WHY_LEN]; /* the last failure */
};

/* Those of a Service, with defaults in place of 0. */
struct check_settings check_settings_of(const struct service_options *options,
					const struct service_times *times);
/*
 * The result of a check; why_failed is NULL for a success. Returns whether is_down
 * changed.
 */
bool verdict_note(struct verdict *v, const struct check_settings *settings,
		  const char *why_failed);
/*
 * From the start of the last check to that of the next. While results contradict the
 * verdict it is the interval less the time-out, so that an endpoint that does not
 * answer is down within fall intervals, and back within rise intervals (for at least
 * two of them).
 */
uint32_t verdict_gap_ms(const struct verdict *v, const struct check_settings *settings);
