/*
 * An HTTP server that answers from a script, for what a real API server won't
 * do: bytes in any pieces, ends in the middle, invalid data.  It runs on the
 * test's own loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct fake_server;

enum fake_end {
	FAKE_CLOSE,    /* closes when all is sent */
	FAKE_SHUTDOWN, /* closes its own direction only */
	FAKE_STALL,    /* sends no more and keeps the connection */
	FAKE_FLOOD,    /* sends the flood until the client closes, up to a limit */
};

struct fake_answer {
	const char *request; /* for a request line that contains this */
	const char *bytes;   /* the whole answer, or only the body with is_body */
	bool is_body;	     /* "HTTP/1.1 200 OK" and a header are put in front */
	size_t piece_len;    /* bytes for each write; 0: all at once */
	enum fake_end end;
	unsigned times;	    /* how often it may be given; 0: for ever */
	const char *header; /* only when this is in the request's head; NULL: always */
	const char *flood;  /* repeated after the bytes */
	size_t len;	    /* of bytes with a NUL among them; 0: up to it */
};

/* The first answer that matches and isn't used up is given; without one, 404. */
struct fake_server *fake_server_new(struct ev_loop *loop,
				    const struct fake_answer *answers, size_t n);
void fake_server_free(struct fake_server *s);
const char *fake_server_url(const struct fake_server *s);
/* How many requests had this in their request line. */
unsigned fake_server_n_requests(const struct fake_server *s, const char *text);
/* Bytes of floods that the clients have taken. */
size_t fake_server_flooded_len(const struct fake_server *s);
