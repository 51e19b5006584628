/*
 * /services.json: a row for each service port, for pages and tools that show all of
 * them. At most 10000, those with the most connections.
 *
 *	{"countsKnown":true,"services":[{…},…],"omitted":0}
 */
#pragma once

#define SERVICES_PAGE_MAX 10000

struct counts;
struct state;

struct http_stream;

/*
 * The page, as it is now, in pieces. counts: NULL if not known; borrowed. They are those
 * of the last reading, at most ten seconds old.
 */
struct http_stream *services_page_new(const struct state *state,
				      const struct counts *counts);
