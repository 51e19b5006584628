/*
 * The control socket: a Unix stream socket of mode 0600 that answers one
 * request per connection.  Request and answer are one JSON object on one line;
 * both carry "version": 1.  Requests, clients and their time are bounded.
 *
 *	{"version":1,"request":"services","namespace":"default"}
 *	{"version":1,"result":[…]}  or  {"version":1,"error":"…"}
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

struct control;
struct ev_loop;

#define CONTROL_VERSION		1
#define CONTROL_REQUEST_MAX_LEN 4096
#define CONTROL_FIELD_LEN	256

enum control_verb {
	CONTROL_SERVICES,
	CONTROL_ENDPOINTS,
	CONTROL_EXPLAIN,
	CONTROL_DIFF,
	CONTROL_STATUS,
	CONTROL_EVENTS,
	CONTROL_PLAN,	/* all services, as `plan -o json` prints them */
	CONTROL_CONFIG, /* the configuration, and whether objects come from manifests */
	CONTROL_TOP,	/* the service ports with the largest values */
	CONTROL_VERB_N,
};

struct control_request {
	enum control_verb verb;
	/* "" when absent */
	char ns[CONTROL_FIELD_LEN];	  /* services, endpoints, events, top */
	char name[CONTROL_FIELD_LEN];	  /* the same: of the Service */
	char selector[CONTROL_FIELD_LEN]; /* services, endpoints: of labels */
	char filter[CONTROL_FIELD_LEN];	  /* top: a part of NAMESPACE/NAME:PORT */
	char sort[CONTROL_FIELD_LEN];	  /* top: the column; rate unless set */
	char limit[CONTROL_FIELD_LEN];	  /* top: the number of rows; 20 unless set */
	char since[CONTROL_FIELD_LEN];	  /* events: the number of the last known one */
	char frontend[CONTROL_FIELD_LEN]; /* explain: ADDRESS:PORT[/PROTO] */
	char current
		[CONTROL_FIELD_LEN];  /* services, endpoints: "yes": count connections */
	char from[CONTROL_FIELD_LEN]; /* explain: an address */
	/* services, endpoints, without current: "yes": rows are arrays of few members */
	char brief[CONTROL_FIELD_LEN];
};

/*
 * The members of brief rows, in the order of the arrays: those that the plain table shows
 * or sorts by. Ends with NULL.
 */
const char *const *control_brief_keys(enum control_verb verb);

/* One request without its newline; -EINVAL with *ret_error, static text. */
int control_request_decode(const char *bytes, size_t len, struct control_request *ret,
			   const char **ret_error);
/* The line that asks for it, with its newline; the caller frees it. */
char *control_request_encode(const struct control_request *request);

/*
 * A result on its way: JSON text, written piece by piece, so that a long one
 * neither stops the loop nor stands in memory whole.
 */
struct control_answer;

struct control_answer_ops {
	/* Adds the next piece; false when that was the last one. */
	bool (*write)(struct control_answer *answer, struct buf *out);
	void (*free)(struct control_answer *answer);
	/* Is there nothing to write now? Asked every few milliseconds. NULL: there always is. */
	bool (*is_waiting)(struct control_answer *answer);
};

struct control_answer { /* implementations embed it first */
	const struct control_answer_ops *ops;
};

/* A short result in one piece. Takes json. */
struct control_answer *control_answer_json(json_t *json);

/* The answer to a request, or NULL and *ret_error, which is freed. */
typedef struct control_answer *(*control_fn)(void *data,
					     const struct control_request *request,
					     char **ret_error);

/* Listens at path; errors as of control_socket_open(). */
int control_new(struct ev_loop *loop, const char *path, control_fn answer, void *data,
		struct control **ret);
/* Also removes the socket. */
void control_free(struct control *c);
