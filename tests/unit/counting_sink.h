/*
 * A sink whose counters the test sets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sink.h"

struct counting_sink { /* embedded, zeroed, then counting_sink_init() */
	struct sink sink;
	struct {
		const char *service; /* a name */
		unsigned frontend;   /* its index */
		int endpoint;	     /* its index; -1: of the frontend */
		enum sink_count_kind kind;
		uint8_t counter;
		uint64_t n;
	} counters[16];
	size_t n;
	uint64_t epoch;
	int err;		   /* of reading them */
	unsigned n_endpoints_read; /* services whose endpoints were read */
	const char
		*busy; /* the Service that has connections now, at its first frontend */
	uint64_t n_current; /* how many */
	bool has_bytes;	 /* each has a packet of 1000 bytes from the client, two to it */
	int census_step; /* the answer of each step of a census */
	unsigned n_censuses; /* that were started */
};

void counting_sink_init(struct counting_sink *c);
/* The counter of a Service's first frontend has this value now. */
void counting_sink_set(struct counting_sink *c, const char *service,
		       enum sink_count_kind kind, uint64_t n);
/* The same of the second of two counters of that frontend. */
void counting_sink_set_other(struct counting_sink *c, const char *service, uint64_t n);
void counting_sink_set_endpoint(struct counting_sink *c, const char *service,
				int endpoint, uint64_t n);
/* All are gone, as after `nft flush ruleset`. */
void counting_sink_clear(struct counting_sink *c);
