/*
 * Requests and answers of bench/relay, and the endpoint that answers. A request has a
 * fixed length, so that both ends always know where the next one starts.
 */
#pragma once

#include <stdint.h>

#define RELAY_REQUEST_LEN 64
#define RELAY_ENDLESS	  UINT64_MAX

struct relay_request {	       /* padded with zeros to RELAY_REQUEST_LEN */
	uint64_t answer_len;   /* bytes; RELAY_ENDLESS: until the client closes */
	uint64_t has_to_close; /* after the answer */
};

/* Accepts from this listening socket and answers, for ever. */
_Noreturn void relay_serve(int listener);
