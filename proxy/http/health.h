/*
 * Is the proxy doing its job?  For each family: an update that was queued and
 * has not been programmed for longer than the timeout makes it unhealthy; so
 * kube-proxy's /healthz and /livez say, and load balancers in front of nodes
 * rely on it.  An API server that is away changes nothing.  Pure: times are
 * handed in (Unix time).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"

struct health_family {
	bool is_used;
	int64_t updated_us;	  /* last programmed; 0: never */
	int64_t oldest_queued_us; /* 0: nothing waits */
};

struct health {		    /* embedded */
	int64_t timeout_us; /* twice the sync period */
	struct health_family family[FAMILY_N];
	bool is_node_known, is_node_deleting, is_node_to_be_deleted;
};

void health_queued(struct health *h, enum family family, int64_t now_us);
void health_updated(struct health *h, enum family family, int64_t now_us);
bool health_is_healthy(const struct health *h, int64_t now_us);
/* The Node object is there and nobody is taking the node away. */
bool health_is_node_eligible(const struct health *h);

/*
 * The body of /healthz (with_node) or /livez, byte for byte in kube-proxy's
 * form; answers the HTTP status, 200 or 503.
 */
int health_answer(const struct health *h, bool with_node, int64_t now_us,
		  struct buf *body);
/*
 * The body of a service's health check node port; answers the HTTP status.
 */
int health_service_answer(const char *ns, const char *name, uint32_t n_local,
			  bool is_healthy, struct buf *body);
