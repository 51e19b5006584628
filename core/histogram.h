/*
 * A histogram with fixed bucket bounds, as Prometheus counts them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_MAX_BOUNDS 96

struct histogram_bounds {
	size_t n;
	double le[HISTOGRAM_MAX_BOUNDS]; /* ascending, seconds; +Inf is implied */
};

/* first, first * factor, … n of them */
struct histogram_bounds histogram_exponential(double first, double factor, size_t n);
/* kube-proxy's network_programming_duration_seconds: 0, .25, .5, 1…59, 60…115, 120…300 */
struct histogram_bounds histogram_network_programming(void);

struct histogram {				   /* embedded; zeroed is empty */
	uint64_t counts[HISTOGRAM_MAX_BOUNDS + 1]; /* each bucket alone, +Inf last */
	uint64_t n;
	double sum;
};

void histogram_observe(struct histogram *h, const struct histogram_bounds *bounds,
		       double value);
