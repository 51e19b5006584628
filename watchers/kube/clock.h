/*
 * The clocks in microseconds.  Durations are measured with CLOCK_MONOTONIC: the
 * other one is set by hand and by NTP, just when a host starts.
 */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_us(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
