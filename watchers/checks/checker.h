/*
 * Active health checks: the endpoints of Services that ask for checks
 * (sluice.io/health-check), each checked once an interval, from this node.  The result
 * is a fact about the endpoint that plan() respects, so every data plane does.
 *
 * Checked are ready endpoints of TCP ports.  At most CHECKER_MAX_RUNNING checks run at
 * a time; others wait their turn.  The first check of an endpoint is at a random
 * moment of its interval, so that the checks of many are spread.  Until then, and after
 * a restart, an endpoint counts as up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct checker;
struct ev_loop;
struct plan_health;

#define CHECKER_MAX_RUNNING 128

struct checker_endpoint {
	const char *ns, *name; /* of the Service */
	struct addr addr;
	uint16_t port;
	bool is_down;
	const char *why;   /* of the last failure */
	unsigned n_in_row; /* results that led to the change */
};

/*
 * changed is called from the loop, never from within these functions; the endpoint is
 * valid during the call.
 */
struct checker *checker_new(struct ev_loop *loop,
			    void (*changed)(void *data,
					    const struct checker_endpoint *endpoint),
			    void *data);
void checker_free(struct checker *c);

/* For plan_options: its calls pass Services in, and verdicts out. */
const struct plan_health *checker_plan_health(const struct checker *c);

struct checker_stats {
	size_t n_endpoints, n_down;
	uint64_t n_succeeded, n_failed, n_unknown; /* checks */
	uint64_t n_went_down, n_came_up;
};
struct checker_stats checker_stats(const struct checker *c);

/* An endpoint that is down, any; false: there is none. */
bool checker_any_down(const struct checker *c, struct checker_endpoint *ret);
