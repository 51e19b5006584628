/*
 * Pipes for splice().  A pipe belongs to a direction of a connection only while
 * bytes are in it; then it returns to the worker's pool, always empty.
 */
#pragma once

#include <stddef.h>

struct relay_calls;

struct relay_pipe {
	struct relay_pipe *next; /* in the pool */
	int in, out;		 /* written, read */
	size_t len;		 /* bytes in it */
};

struct relay_pipes { /* embedded; zeroed is empty */
	struct relay_pipe *idle;
	size_t n;
};

/* NULL when there is none to be had. */
struct relay_pipe *relay_pipes_get(struct relay_pipes *p,
				   const struct relay_calls *calls);
/* Takes it; one with bytes in it is closed. */
void relay_pipes_put(struct relay_pipes *p, const struct relay_calls *calls,
		     struct relay_pipe *pipe);
void relay_pipes_fini(struct relay_pipes *p, const struct relay_calls *calls);
