/*
 * The health of the proxy.  A family is unhealthy when an update has waited for
 * longer than the timeout, as in kube-proxy's /healthz and /livez, on which load
 * balancers in front of nodes rely.  An unreachable API server has no influence.
 * The functions are pure: the caller passes the time.  How long an update has waited
 * is measured with the monotonic clock, Unix time is only printed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"

struct health_family {
	bool is_used;
	int64_t updated_us; /* last programmed; 0: never */
	int64_t waiting_us; /* how long an update has waited; 0: none waits */
};

struct health {		    /* embedded */
	int64_t timeout_us; /* twice the sync period */
	struct health_family family[FAMILY_N];
	bool is_node_known, is_node_deleting, is_node_to_be_deleted;
};

bool health_is_healthy(const struct health *h);

/*
 * Writes the body of /healthz (with_node) or /livez, byte for byte in kube-proxy's
 * form. Returns the HTTP status, 200 or 503.
 */
int health_answer(const struct health *h, bool with_node, int64_t now_us,
		  struct buf *body);
/* Writes the body of a health check node port. Returns the HTTP status. */
int health_service_answer(const char *ns, const char *name, uint32_t n_local,
			  bool is_healthy, struct buf *body);
