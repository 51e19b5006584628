/*
 * One connection or datagram, and its outcome.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "tests/kernel/world.h"

enum outcome {
	PROBE_ANSWERED, /* by backend, which saw source */
	PROBE_REFUSED,	/* ECONNREFUSED */
	PROBE_SILENT,	/* nothing came until the time was over */
	PROBE_FAILED,	/* any other error */
};

struct answer {
	enum outcome outcome;
	int err;      /* errno of REFUSED and FAILED */
	bool by_icmp; /* the error came as an ICMP message; else as a TCP reset */
	uint64_t took_us;
	struct addr own, backend, source;
	uint16_t own_port, backend_port, source_port;
};

struct target {
	const char *from; /* a name of the world: where from, and the source address */
	uint8_t proto;
	enum family family;
	struct addr addr;
	uint16_t port;
	bool is_unconnected; /* UDP: sendto() instead of connect() */
	bool is_mapped;	     /* an IPv6 socket with IPv4-mapped addresses */
	const char *procs; /* of the cgroup that makes the socket; NULL: the usual one */
};

/* "svc41:80" as seen from "client" */
struct target target_named(const char *from, const char *to, uint8_t proto,
			   enum family family);

/* For an answer that has to come: a busy machine may take seconds. */
#define PROBE_PATIENCE_MS 10000
struct answer probe(const struct world *w, const struct target *t, int timeout_ms);

/* The same in steps: a socket that stays open, asked again and again. -errno. */
int probe_open(const struct world *w, const struct target *t, int timeout_ms,
	       struct answer *ret);
/* Asks over it once more; the target is needed only if it is not connected. The socket is not closed. */
struct answer probe_ask(int fd, const struct target *t, int timeout_ms);
void probe_close(int fd);

/* Not every kernel has SCTP sockets. */
bool probe_can_do_sctp(void);

/* For messages. */
#define ANSWER_TEXT_LEN 200
const char *answer_format(const struct answer *a, char buf[static ANSWER_TEXT_LEN]);
