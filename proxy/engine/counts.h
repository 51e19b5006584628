/*
 * The connection counters of some services: read once, looked up often.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/service.h"

struct changeset;
struct dataplane;
struct sink_count;

struct counts {	       /* embedded; {0} is "unknown" */
	bool is_known; /* some sink counts, and could be read */
	struct sink_count *items;
	size_t n, cap;
};

void counts_read(struct counts *c, const struct dataplane *dp, const struct changeset *of,
		 bool with_endpoints);
void counts_fini(struct counts *c);

uint64_t counts_frontend(const struct counts *c, const struct frontend *f, uint8_t proto);
/* Of one endpoint behind one frontend. */
uint64_t counts_endpoint(const struct counts *c, const struct frontend *f, uint8_t proto,
			 const struct addr *addr, uint16_t port);
