/*
 * The clocks in microseconds.  Durations are measured with the monotonic one:
 * the wall clock is set by hand and by NTP, often just after a host has started.
 */
#pragma once

#include <stdint.h>
#include <time.h>

/* clock_gettime() can't fail for these two clocks. */
static inline uint64_t clock_read_us(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t clock_monotonic_us(void)
{
	return clock_read_us(CLOCK_MONOTONIC);
}

/* Unix time. */
static inline int64_t clock_wall_us(void)
{
	return (int64_t)clock_read_us(CLOCK_REALTIME);
}

#define CLOCK_TEXT_LEN 32
/* RFC 3339 in UTC with six digits of the second: "2026-11-22T10:11:12.345678Z". Returns text. */
char *clock_format(int64_t wall_us, char text[CLOCK_TEXT_LEN]);
