/*
 * Trouble with the API server, told in one line for all kinds of objects that
 * suffer from the same cause: who, what, and what a person can do about it.
 * Told again each minute while it lasts, and once when it is over.
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
 * http.h; why is a sentence.  name ("services") must outlive it.
 */
void outage_failed(struct outage *o, enum object_kind kind, const char *name, int cause,
		   const char *why);
/* Why the calls fail at the moment, a sentence of the first kind; NULL: they do not. */
const char *outage_why(const struct outage *o);
/* This kind has been answered. */
void outage_over(struct outage *o, enum object_kind kind);
