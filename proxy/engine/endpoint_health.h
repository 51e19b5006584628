/*
 * Between the checker of endpoints and the rest: a change is logged, with bounds, and
 * its Service planned again.
 */
#pragma once

#include "core/log_limiter.h"

struct checker;
struct checker_endpoint;
struct cluster;
struct sync;

struct endpoint_health { /* embedded; cluster is set before, borrowed */
	struct cluster *cluster;
	struct sync *sync; /* NULL: it does not run yet */
	struct log_limiter limiter;
};

void endpoint_health_changed(struct endpoint_health *h,
			     const struct checker_endpoint *endpoint);
/* How many endpoints are down, and one of them; the caller frees it. NULL: none is. */
char *endpoint_health_warning(const struct checker *checker);
