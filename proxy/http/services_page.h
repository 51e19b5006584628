/*
 * /services.json: a row for each service port, for pages and tools that show all of
 * them. At most 10000, those with the most connections.
 *
 *	{"countsKnown":true,"services":[{…},…],"omitted":0}
 */
#pragma once

#include "core/buf.h"

#define SERVICES_PAGE_MAX 10000

struct counts;
struct state;

/* counts: NULL if not known. They are those of the last reading, at most ten seconds old. */
void services_page_write(const struct state *state, const struct counts *counts,
			 struct buf *out);
