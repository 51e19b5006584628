/*
 * One check of an endpoint, on the loop: a TCP connection that is opened, or the
 * answer to an HTTP request.  Sockets are closed by a reset, so that neither the node
 * nor its connection tracking keeps anything of a check.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "watchers/transfer/transfers.h"

enum probe_result {
	PROBE_SUCCEEDED,
	PROBE_FAILED,
	PROBE_UNKNOWN, /* this host lacks resources; the endpoint was not asked */
};

struct prober { /* embedded; what all probes share */
	struct ev_loop *loop;
	struct transfers transfers; /* since the first check by HTTP */
	bool has_transfers;
};

struct probe { /* embedded, zeroed */
	struct prober *prober;
	/* Called once, from the loop. why is the failure, valid during the call. */
	void (*done)(struct probe *p, enum probe_result result, const char *why);
	struct ev_io io;
	struct ev_timer timer; /* the time-out; or that of an immediate result */
	CURL *easy;	       /* of HTTP */
	bool is_running;
	uint32_t timeout_ms;
	int err; /* of an immediate failure; 0: none */
};

void prober_init(struct prober *prober, struct ev_loop *loop);
/* No probe may run. */
void prober_fini(struct prober *prober);

/* path: of an HTTP request; NULL: TCP alone. */
void probe_start(struct probe *p, struct prober *prober, const struct addr *addr,
		 uint16_t port, const char *path, uint32_t timeout_ms);
/* Without a result; does nothing if it does not run. */
void probe_stop(struct probe *p);
