/*
 * Shared by the files inspect*.c alone.
 */
#pragma once

#include <jansson.h>

#include "core/service.h"
#include "proxy/control/inspect.h"
#include "proxy/control/target.h"
#include "watchers/plan/plan.h"

json_t *inspect_addr(const struct addr *addr);

/* The fields that name a service: namespace, name, portName, protocol, family. */
json_t *inspect_service_key(const struct service *s);

/* Every endpoint of a service with its reason; NULL when its objects are gone. Freed by the caller. */
struct plan_endpoint_reason *inspect_endpoints_of(const struct inspect *in,
						  const struct service *s, size_t *ret_n);

/* Reads the counters of these services now. False: they are not known. */
bool inspect_counts_read(const struct inspect *in, const struct service *const *services,
			 size_t n, bool with_endpoints);
/*
 * Writes the members connections and rate of a frontend, and unless it is brief
 * refused, dropped and droppedBy; null if not known. in may be NULL: they are not.
 */
void inspect_write_counts(const struct inspect *in, const struct service *s,
			  const struct frontend *f, bool is_brief, struct buf *out);
/* Writes connections of an endpoint. */
void inspect_write_endpoint_count(const struct inspect *in, const struct service *s,
				  const struct plan_endpoint_reason *reason,
				  bool is_brief, struct buf *out);

struct census;
/*
 * Writes the members current, bytesIn, bytesOut, packetsIn and packetsOut of the i-th
 * frontend or endpoint of a service; null if not known. c may be NULL.
 */
void inspect_write_flows(const struct census *c, size_t service, bool is_endpoint,
			 uint32_t i, struct buf *out);

/*
 * The rows of `get` as objects, or brief ones as arrays, which stay open: the caller adds
 * further members and the closing bracket.
 */
struct inspect_frontend { /* of a row */
	const struct frontend *frontend;
	const char *type;	      /* NULL: that of the frontend */
	const char *state;	      /* NULL: by the decision */
	const struct service *holder; /* another service that holds it; NULL: none */
	bool is_brief;		      /* see struct control_request */
};
void inspect_write_frontend(const struct inspect *in, const struct service *s,
			    const struct inspect_frontend *row, struct buf *out);
void inspect_write_endpoint(const struct inspect *in, const struct service *s,
			    const struct plan_endpoint_reason *reason, bool is_brief,
			    struct buf *out);

/*
 * The rows of `get`, in no order except that those of one service follow each other;
 * first those of waiting claims.
 */
struct control_answer *inspect_rows(const struct inspect *in,
				    const struct control_request *request,
				    char **ret_error);
struct control_answer *inspect_top(const struct inspect *in,
				   const struct control_request *request,
				   char **ret_error);
struct control_answer *inspect_diff(const struct inspect *in, char **ret_error);
json_t *inspect_explain(const struct inspect *in, const struct control_request *request,
			char **ret_error);

/* How a frontend is served where that is not as planned. */
struct inspect_place {
	char *why_not;	     /* it is not served, to be freed; NULL: it is */
	struct addr local;   /* of clients on this host, instead */
	uint16_t local_port; /* 0: none */
};
struct inspect_place inspect_place(const struct inspect *in, const struct service *s,
				   const struct frontend *f);

/* The reason of an endpoint, with that of its health checks; freed by the caller. */
char *inspect_reason(const struct plan_endpoint_reason *reason);

struct question { /* of explain */
	const struct inspect *in;
	struct target target;
	bool has_from;
	struct addr from;
};

/* The fate of a connection to the target. */
json_t *inspect_explain_target(const struct question *q);
/* The same for each frontend that is meant; at most 20. The target of q is not used. */
json_t *inspect_explain_wide(const struct question *q, const struct wide_target *wide);

/* Is this one of this host's addresses? */
bool inspect_is_host(const struct inspect *in, const struct addr *a);
/* Adds to result the fate of a connection that no frontend matches, and why. */
void inspect_explain_unmatched(const struct question *q, json_t *result);
