/* Results of one candidate in one kind of traffic, and the table of them. */
#pragma once

#include "bench/sockets/traffic.h"

struct cell {			/* embedded; zeroed is empty */
	struct samples cpu;	/* ns for each operation, one sample a round */
	struct samples rate;	/* operations a second, one sample a round */
	struct samples latency; /* ns */
};

void cell_add(struct cell *c, const struct traffic_result *r, unsigned n);
void cell_fini(struct cell *c);

void report_header(uint32_t n_services, uint32_t n_endpoints, const char *client,
		   size_t n_rounds);
/* direct: the candidate that the ratio is to; may be the same. */
void report_row(const char *operation, const char *candidate, struct cell *c,
		struct cell *direct);
void report_load(const char *when);
