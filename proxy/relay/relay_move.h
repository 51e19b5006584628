/*
 * Moving bytes in one direction of a connection.  Small pieces are copied through
 * a buffer of the worker, large ones spliced through a pipe; the size of the last
 * pieces decides.  Bytes that the receiver does not take wait in a block of their own or
 * in the pipe, and nothing more is read from the sender until they are gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/relay/relay_calls.h"
#include "proxy/relay/relay_pipes.h"
#include "proxy/relay/relay_poll.h"

#define RELAY_BUFFER_LEN 65536

struct relay_mover { /* of a worker */
	const struct relay_calls *calls;
	struct relay_pipes pipes;
	char buffer[RELAY_BUFFER_LEN];
};

/* One socket of a connection, and the bytes from it that were not sent yet. */
struct relay_side {
	struct relay_watch io; /* the socket, or -1 */
	char *kept;	       /* NULL, or 0 <= kept_at < kept_len */
	struct relay_pipe
		*pipe; /* NULL unless bytes are in it; never together with kept */
	uint64_t n_read;
	uint32_t kept_at, kept_len;
	uint8_t n_small; /* pieces in a row that were too small to splice */
	bool is_server : 1;
	bool can_read : 1;  /* until a read finds the socket empty */
	bool is_ending : 1; /* its peer has sent the end, or there was an error */
	bool has_fin : 1;   /* without an error: all that it sent has arrived */
	bool is_urgent : 1; /* reads stop at an urgent byte, with more bytes after it */
	bool has_ended : 1; /* no more bytes will come from it */
	bool is_shut : 1;   /* the end was passed on to it */
	bool is_splicing : 1;
	bool has_nodelay : 1; /* of a server: small segments leave immediately */
	bool has_in : 1;      /* the set reports new bytes of it */
	bool has_out : 1;     /* the set reports that it takes bytes again */
};

static inline bool relay_side_is_blocked(const struct relay_side *s)
{
	return s->kept || s->pipe;
}

/* Everything that was read from it was sent, and nothing more comes. */
static inline bool relay_side_is_done(const struct relay_side *s)
{
	return s->has_ended && !relay_side_is_blocked(s);
}

/* There may be more, and it is wanted. */
static inline bool relay_side_is_readable(const struct relay_side *s)
{
	return s->can_read && !s->has_ended && !relay_side_is_blocked(s);
}

/* Sends what waits, then moves one piece. 0, or -errno of one of the sockets. */
int relay_move(struct relay_mover *m, struct relay_side *from,
	       const struct relay_side *to);
void relay_side_init(struct relay_side *s, int fd, bool is_server);
/* Forgets the bytes that wait. */
void relay_side_discard(struct relay_mover *m, struct relay_side *s);
