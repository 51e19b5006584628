/*
 * The counters of the sinks, as sums that never go back while a service lives: the
 * gain of each counter since the last reading is added.  A counter that is
 * lower than before, or of another epoch, has started again from 0, because its table
 * was deleted, or its element replaced.  What was counted between the last reading and such a loss is
 * lost.  The first reading takes over what the kernel has.
 *
 * Only what has counted something takes memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/service.h"
#include "core/sink_view.h"

struct changeset;
struct counts;
struct dataplane;

struct counts *counts_new(const struct dataplane *dp); /* borrowed */
void counts_free(struct counts *c);

/*
 * Reads the counters of the new services of a change set; those of endpoints only where
 * a frontend has had connections: most endpoints of a large cluster have none from this
 * node. False if no sink counts, or one cannot be read; that is logged, and the sums stay.
 */
bool counts_read(struct counts *c, const struct changeset *of, bool with_endpoints);
/* Is there something to show: did the last reading succeed? */
bool counts_are_known(const struct counts *c);

/*
 * The same, of services whose rate is measured from one such reading to the next. Each
 * service is read about once between two calls of counts_end_round().
 */
bool counts_measure(struct counts *c, const struct changeset *of, uint64_t now_us);
/* Forgets the services that were not read in this round or the one before. */
void counts_end_round(struct counts *c, uint64_t now_us);

/* Sums of a service, with the frontends that it no longer has. */
uint64_t counts_total(const struct counts *c, const struct service *s,
		      enum sink_count_kind kind);
/* It has had connections since its endpoints were read last. */
bool counts_lack_endpoints(const struct counts *c, const struct service *s);
/* Of one of its frontends, each kind. */
void counts_frontend(const struct counts *c, const struct service *s,
		     const struct frontend *f, uint64_t ret[static COUNT_N]);
/* Connections to one of its endpoints. */
uint64_t counts_endpoint(const struct counts *c, const struct service *s,
			 const struct addr *addr, uint16_t port);
/* Connections a second, between the last two measurements; 0 before the second one. */
double counts_rate(const struct counts *c, const struct service *s);
/* Sums of all services, with those that were removed. */
uint64_t counts_all(const struct counts *c, enum sink_count_kind kind);
