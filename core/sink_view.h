/*
 * Reading back the work of a sink, without changing it: connection counters,
 * differences between the wanted and the present state, numbers for /metrics, which
 * sink decides and when it does not, and the process that interferes. Each of them may be NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/service.h"

struct changeset;
struct environment;
struct histogram;
struct histogram_bounds;
struct sink;
struct sink_census;
struct sink_diff;

enum sink_count_kind {
	COUNT_CONNECTIONS,	  /* that got an endpoint */
	COUNT_NO_ENDPOINTS,	  /* refused */
	COUNT_NO_LOCAL_ENDPOINTS, /* dropped: the policy is Local */
	COUNT_SOURCE_RANGES,	  /* dropped: the client is not in the ranges */
	COUNT_N,
};

/*
 * One counter of a frontend, or of one of its endpoints. All but the last two is its
 * identity, padding is zero.
 */
struct sink_count {
	struct addr frontend;
	struct addr
		endpoint; /* of a frontend: zero, or an address that separates two counters */
	uint16_t port, endpoint_port;
	uint8_t kind;	 /* enum sink_count_kind; of an endpoint: connections */
	uint8_t counter; /* which one of several that the sink has for this */
	bool is_endpoint;
	uint8_t zero;
	uint64_t epoch; /* another one: counters have started again from 0 */
	const struct service *service;
	uint64_t n;
};

enum sink_stat_kind { SINK_COUNTER, SINK_GAUGE, SINK_HISTOGRAM };

/* One sample of /metrics. Samples of one name follow each other. */
struct sink_stat {
	const char *name, *help; /* "sluice_nft_transactions_total" */
	enum sink_stat_kind kind;
	bool is_of_family; /* labelled with the family */
	enum family family;
	double value;
	/* of a histogram, instead of the value */
	const struct histogram *histogram;
	const struct histogram_bounds *bounds;
};

/* A new connection of a class of client to a frontend of a service. */
struct sink_question {
	const struct service *service;
	const struct frontend *frontend;
	enum client_class client;
	const struct environment *env;
};

/* How a service is served where that is not by the address and port of a frontend. */
struct sink_place {
	const char *why_not; /* the frontend is not served, static text; NULL: it is */
	struct addr local;   /* where clients on this host reach the service instead */
	uint16_t local_port; /* 0: nowhere */
};

struct sink_view {
	/*
	 * Counters of the new services of a change set. A frontend or endpoint may have
	 * several. 0, or -errno if they cannot be read.
	 */
	int (*counts)(struct sink *sink, const struct changeset *of, bool with_endpoints,
		      void (*fn)(void *data, const struct sink_count *count), void *data);
	/* Starts to count the connections that the new services have now, in the background. */
	struct sink_census *(*census)(struct sink *sink, const struct changeset *of);
	/* Starts a comparison; the change set is borrowed until sink_diff_free(). */
	struct sink_diff *(*diff)(struct sink *sink, const struct changeset *full);
	/*
	 * Reports each limit that the sink has reached now, and other software that can
	 * interfere, as a sentence each; some milliseconds.
	 */
	void (*warnings)(struct sink *sink, void (*fn)(void *data, const char *text),
			 void *data);
	void (*stats)(const struct sink *sink,
		      void (*fn)(void *data, const struct sink_stat *stat), void *data);
	/* Does the sink decide? False: a later one does, and *ret_why is why this one does not. */
	bool (*decides)(const struct sink *sink, const struct sink_question *q,
			const char **ret_why);
	void (*place)(const struct sink *sink, const struct service *s,
		      const struct frontend *f, struct sink_place *ret);
	/*
	 * The endpoint that affinity gives a client of the question's class. 1: *ret has
	 * its address and port; 0: none yet; or -errno: not known.
	 */
	int (*bound)(struct sink *sink, const struct sink_question *q,
		     const struct addr *client, struct endpoint *ret);
	/* One line for each circumstance that makes a later one decide, or may refuse. */
	void (*notes)(const struct sink *sink, const struct sink_question *q,
		      void (*fn)(void *data, const char *line), void *data);
	/* The process that changed last what the sink made: "nft (pid 123)"; NULL: not known. */
	const char *(*changed_by)(const struct sink *sink);
	/* The objects that the last repair restored: "2 chains, 41 rules"; "": none. */
	const char *(*restored)(const struct sink *sink);
	bool keeps_source; /* connections that it decides are never masqueraded */
};

/* Connections that exist: of a frontend, or of an endpoint of a service. */
struct sink_flows {
	uint64_t n; /* those that have not ended */
	/* from clients and to them, with connections that ended a short time ago */
	uint64_t n_packets[2], n_bytes[2];
};

static inline void sink_flows_add(struct sink_flows *sum, const struct sink_flows *flows)
{
	sum->n += flows->n;
	for (size_t i = 0; i < 2; i++) {
		sum->n_packets[i] += flows->n_packets[i];
		sum->n_bytes[i] += flows->n_bytes[i];
	}
}

struct sink_census_ops {
	int (*step)(struct sink_census *c);
	/* Packets and bytes are counted, or there was no connection. */
	bool (*has_bytes)(const struct sink_census *c);
	bool lacks_packets; /* only bytes are */
	/* The i-th frontend or endpoint of the service with this index among the changes. */
	const struct sink_flows *(*of)(const struct sink_census *c, size_t service,
				       bool is_endpoint, uint32_t i);
	void (*free)(struct sink_census *c);
};

struct sink_census { /* implementations embed it first */
	const struct sink_census_ops *ops;
};

/* Never waits. 1: it continues; 0: it is complete; -errno. */
static inline int sink_census_step(struct sink_census *c)
{
	return c->ops->step(c);
}

static inline void sink_census_free(struct sink_census *c)
{
	if (c)
		c->ops->free(c);
}

struct sink_diff_ops {
	int (*step)(struct sink_diff *d);
	const char *(*lines)(const struct sink_diff *d, size_t *ret_n);
	void (*free)(struct sink_diff *d);
};

struct sink_diff { /* implementations embed it first */
	const struct sink_diff_ops *ops;
};

/*
 * About a millisecond of work. 1: more steps follow; 0: the end; -EINTR: what is
 * compared has changed, start over; -errno: it cannot be read.
 */
static inline int sink_diff_step(struct sink_diff *d)
{
	return d->ops->step(d);
}

/*
 * After the last step: one line for each difference ("- " is missing, "+ " should
 * not exist), and how many.
 */
static inline const char *sink_diff_lines(const struct sink_diff *d, size_t *ret_n)
{
	return d->ops->lines(d, ret_n);
}

static inline void sink_diff_free(struct sink_diff *d)
{
	if (d)
		d->ops->free(d);
}
