/*
 * A limit for the cost of one Service.  The kernel maps hold every endpoint
 * once for each frontend, so a small manifest can ask for millions of elements.
 * The cost is estimated before anything is built, from the objects alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/plan/endpoints.h"
#include "watchers/plan/plan.h"

#define BUDGET_MAX_ELEMENTS  100000
#define BUDGET_MAX_ENDPOINTS 65536 /* of one port: slot numbers have 16 bits */

/*
 * False if the Service exceeds a limit: then one line was reported to
 * options->reject.  Every endpoint counts, ready or not, so that the result
 * does not change with readiness.
 */
bool budget_check(const struct object_service *service, const struct slices *slices,
		  const bool has_nodeports[FAMILY_N], const struct plan_options *options);
