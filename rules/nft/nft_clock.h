/*
 * Monotonic time, for saying how long things took.
 */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t nft_clock_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* can't fail for this clock */
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
