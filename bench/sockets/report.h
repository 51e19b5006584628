/* Results of one candidate in one kind of traffic, and the table of them. */
#pragma once

#include "bench/sockets/traffic.h"

struct cell {		      /* embedded; zeroed is empty */
	struct samples cpu;   /* ns for each operation, one sample a round */
	struct samples rate;  /* operations a second, one sample a round */
	struct samples ratio; /* CPU time of direct / of this, in the same round; 1e-6 */
	struct samples latency; /* ns */
};

/* direct: what n operations to an endpoint took in the same round. */
void cell_add(struct cell *c, const struct traffic_result *r,
	      const struct traffic_result *direct, unsigned n);
void cell_fini(struct cell *c);

void report_header(uint32_t n_services, uint32_t n_endpoints, const char *client,
		   unsigned n_rounds);
void report_row(const char *operation, const char *candidate, struct cell *c);
void report_load(const char *when);
