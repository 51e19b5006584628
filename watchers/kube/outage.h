/*
 * Logs failures of the API server: one line for all kinds of objects with the
 * same cause, with a remedy.  The line is repeated each minute while the outage
 * lasts, and its end is logged once.
 */
#pragma once

#include "watchers/objects.h"

struct ev_loop;
struct outage;

/* server is its URL, config where the credentials come from; both are borrowed. */
struct outage *outage_new(struct ev_loop *loop, const char *server, const char *config);
void outage_free(struct outage *o);

/*
 * A call for this kind has failed.  cause is the HTTP status, or -errno as in
 * http.h; why is the reason in words.  name ("services") must outlive it.
 */
void outage_failed(struct outage *o, enum object_kind kind, const char *name, int cause,
		   const char *why);
/* Why calls for required kinds fail now, from the first kind; NULL: they do not. */
const char *outage_why(const struct outage *o);
/* Nothing depends on this kind: its own failures are logged once. */
void outage_set_optional(struct outage *o, enum object_kind kind);
/* This kind has been answered. */
void outage_over(struct outage *o, enum object_kind kind);
