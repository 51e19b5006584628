#include "proxy/engine/endpoint_health.h"

#include <stdbool.h>

#include "core/addr.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/engine/sync.h"
#include "watchers/causes.h"
#include "watchers/checks/checker.h"
#include "watchers/cluster.h"

#define BURST	    20 /* lines that come together, */
#define INTERVAL_US 1000000

static void log_change(struct endpoint_health *h, const struct checker_endpoint *e)
{
	char at[ADDR_PORT_TEXT_LEN];
	size_t n_suppressed;

	h->limiter.burst = BURST;
	h->limiter.interval_us = INTERVAL_US;
	if (!log_limiter_take(&h->limiter, 1, clock_monotonic_us()))
		return;
	n_suppressed = log_limiter_suppressed(&h->limiter);
	if (n_suppressed)
		log_info("health checks: %zu more lines: see sluice events",
			 n_suppressed);
	(void)addr_port_format(&e->addr, e->port, at);
	if (e->is_down)
		log_warn("health checks: %s/%s: endpoint %s is down: %s (%u checks in a "
			 "row)",
			 e->ns, e->name, at, e->why, e->n_in_row);
	else
		log_info("health checks: %s/%s: endpoint %s is up again (%u checks in a "
			 "row)",
			 e->ns, e->name, at, e->n_in_row);
}

void endpoint_health_changed(struct endpoint_health *h, const struct checker_endpoint *e)
{
	char at[ADDR_PORT_TEXT_LEN];

	log_change(h, e);
	causes_note(cluster_causes(h->cluster), e->ns, e->name,
		    &(struct cause){
			    .kind = "HealthCheck",
			    .ns = "",
			    .name = addr_port_format(&e->addr, e->port, at),
		    });
	cluster_mark(h->cluster, e->ns, e->name);
	if (h->sync)
		sync_mark(h->sync);
}

char *endpoint_health_warning(const struct checker *checker)
{
	size_t n = checker_stats(checker).n_down;
	char at[ADDR_PORT_TEXT_LEN];
	struct checker_endpoint e;

	if (!checker_any_down(checker, &e))
		return NULL;
	return xasprintf("health checks: %zu endpoint%s down, such as %s of %s/%s: %s", n,
			 n == 1 ? " is" : "s are", addr_port_format(&e.addr, e.port, at),
			 e.ns, e.name, e.why);
}
