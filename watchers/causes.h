/*
 * Why Services are planned again, for the journal: the object that changed last, its
 * resourceVersion or file, and when the first of the changes was triggered.  Kept for
 * CAUSES_MAX Services until the changes are programmed, and only once it is on: at the
 * start everything has changed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/hash.h"

struct cluster;

#define CAUSES_MAX 1000

struct cause { /* one block; immutable, reference counted */
	unsigned refs;
	uint32_t n_others; /* that changed, too */
	uint64_t since_us; /* of the first one, monotonic clock */
	const char *kind;  /* of an object, "HealthCheck", "Claim", "Process" */
	const char *ns, *name;
	const char *version; /* resourceVersion; "": unknown */
	const char *file;    /* "": not from one */
};

struct causes { /* embedded, zeroed */
	bool is_on;
	const char *version, *file; /* of the next changes, borrowed; or NULL */
	struct hash services;
	struct cause *all;   /* of every Service without an own one, or NULL */
	struct cause *claim; /* of those that change with another Service */
	bool has_overflowed; /* there were more than CAUSES_MAX */
};

void causes_fini(struct causes *c);
void causes_start(struct causes *c);
/* Where the next changes come from, borrowed until the next call; NULL: unknown. */
void causes_set_origin(struct causes *c, const char *version, const char *file);

/*
 * Something of this kind, namespace, name and since_us changed.  The Service is planned
 * again; NULL: all are.
 */
void causes_note(struct causes *c, const char *ns, const char *service,
		 const struct cause *why);
/*
 * A Service that has none of its own, and no cause of all, changes with another one that
 * claims the same place. NULL: unknown. Valid until the next note.
 */
const struct cause *causes_find(const struct causes *c, const char *ns,
				const char *service);
/* The changes are programmed. */
void causes_clear(struct causes *c);

/* A copy; since_us 0: now. */
struct cause *cause_new(const struct cause *from);
struct cause *cause_ref(const struct cause *cause);
void cause_unref(struct cause *cause);

/* Those of a cluster. */
struct causes *cluster_causes(struct cluster *c);
