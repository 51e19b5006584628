/*
 * The last changes of services, in a ring: additions, removals, differences, when
 * each was programmed, its cause and the time since that.  A sink after the data plane,
 * so an entry says what the kernel holds. The first change set is one entry.
 *
 * A service port that loses its last endpoint or gets its first one is also logged.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct causes;
struct checker_endpoint;
struct journal;
struct service;
struct sink;
struct sink_repair;
struct state_conflict;

#define JOURNAL_LEN 1000 /* entries that are kept */

/*
 * The sink, whose close() frees it.  It starts the causes at its first change set; the
 * caller clears them.
 */
struct sink *journal_new(struct causes *causes);

/*
 * "entries" after number `since`, oldest first, of a namespace and a Service; "" means
 * all. Each has its number. "dropped" is how many are no longer kept, "last" the number
 * of the last one of all; 0: none yet.
 */
json_t *journal_json(const struct sink *sink, const char *ns, const char *name,
		     uint64_t since);

void journal_add_repair(struct sink *sink, const struct sink_repair *repair);

/* All entries about services are logged, too, as far as they are not too many. */
void journal_log_all(struct sink *sink);

/* Adds a claim that waits, because another service holds its place. */
void journal_add_claim(struct sink *sink, const struct state_conflict *conflict);

/*
 * Adds that a sink refuses a service, and why ("": not known), or serves it again (NULL).
 * Called while the sink applies a change set, so before the journal's own.
 */
void journal_add_refused(struct sink *sink, const char *by, const struct service *service,
			 const char *why);
/* Changes of services for which this is true are not in the kernel, so they have no entries. */
void journal_leave_out(struct sink *sink,
		       bool (*is_refused)(const void *data, const struct service *s),
		       const void *data);

/*
 * Adds a change of an endpoint's health; its removal is another entry. service: some
 * service port of its Service and family, or NULL: entries name one.
 */
void journal_add_health(struct sink *sink, const struct checker_endpoint *endpoint,
			const struct service *service);

enum journal_what {
	JOURNAL_STARTED,
	JOURNAL_REPAIRED,
	JOURNAL_SERVICE_ADDED,
	JOURNAL_SERVICE_REMOVED,
	JOURNAL_FRONTENDS_ADDED,
	JOURNAL_FRONTENDS_REMOVED,
	JOURNAL_ENDPOINTS_ADDED,
	JOURNAL_ENDPOINTS_REMOVED,
	JOURNAL_ENDPOINTS_CHANGED,
	JOURNAL_NO_ENDPOINTS,
	JOURNAL_HAS_ENDPOINTS,
	JOURNAL_POLICY_CHANGED,
	JOURNAL_ENDPOINT_DOWN,
	JOURNAL_ENDPOINT_UP,
	JOURNAL_CLAIM_WAITS,
	JOURNAL_REFUSED,
	JOURNAL_SERVED_AGAIN,
	JOURNAL_WHAT_N,
};

/* For the files journal*.c: reports what differs, old or new may be NULL. */
void journal_compare(const struct service *old, const struct service *new,
		     void (*fn)(void *data, enum journal_what what, const char *detail),
		     void *data);
