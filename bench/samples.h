/*
 * Values that were measured, in any unit, and their quantiles.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct samples { /* embedded; zeroed is empty */
	uint64_t *values;
	size_t n, cap;
};

void samples_fini(struct samples *s);
void samples_add(struct samples *s, uint64_t value);
/* 0 when there is none. Sorts. */
uint64_t samples_quantile(struct samples *s, double q);

/* Monotonic. */
uint64_t samples_now_us(void);
/* "VmRSS:" or "VmHWM:" of a process, in MB; 0 for ourselves. */
double samples_memory_mb(int pid, const char *field);
