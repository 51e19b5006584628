/*
 * The state that one process leaves to the next besides sockets: affinity, endpoints
 * that are set aside, and counters.  Tables of fixed size records in one block, in this
 * machine's byte order, for a process of the same layout version on the same boot:
 * times are those of the monotonic clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"
#include "proxy/relay/relay_listener.h"
#include "proxy/relay/relay_service.h"

struct relay_state_service {
	uint32_t id;	  /* of its bindings */
	uint32_t name_at; /* namespace, name, port name: each ends with a NUL */
	uint32_t first_endpoint, n_endpoints;
	uint8_t proto, family;
	uint8_t zero[6];
	uint64_t counters[RELAY_COUNTER_N];
};

struct relay_state_endpoint {
	struct addr addr;
	uint16_t port;
	uint8_t zero[6];
	uint64_t n_connections, n_failures;
};

struct relay_state_frontend {
	struct relay_listener_key key;
	uint32_t zero;
	uint64_t n_connections;
};

struct relay_state_binding {
	uint32_t service;
	uint16_t port, zero;
	struct addr client, endpoint;
	uint64_t until_ms;
};

struct relay_state_aside {
	struct addr addr;
	uint16_t port;
	uint8_t zero[6];
	uint64_t until_ms;
};

enum relay_state_table {
	RELAY_STATE_SERVICES,
	RELAY_STATE_ENDPOINTS,
	RELAY_STATE_FRONTENDS,
	RELAY_STATE_BINDINGS,
	RELAY_STATE_ASIDE,
	RELAY_STATE_NAMES, /* bytes */
	RELAY_STATE_TABLE_N,
};

/* ---- writing ---- */

struct relay_state_writer { /* zeroed is empty */
	struct buf tables[RELAY_STATE_TABLE_N];
	uint64_t totals[RELAY_COUNTER_N];
};

void relay_state_add(struct relay_state_writer *w, enum relay_state_table table,
		     const void *record);
/* Returns the record to fill in further; its endpoints follow with relay_state_add(). */
struct relay_state_service relay_state_describe(struct relay_state_writer *w,
						const struct service *service);
/* Replaces the content of the file. Frees the tables. 0, or -errno. */
int relay_state_write(struct relay_state_writer *w, int fd);

/* ---- reading ---- */

struct relay_state;

/* 0, or -errno and why, a static text. */
int relay_state_read(int fd, struct relay_state **ret, const char **ret_why);
/* Without a look at its checksum. */
int relay_state_parse(const void *bytes, size_t len, struct relay_state **ret,
		      const char **ret_why);
void relay_state_free(struct relay_state *s);
/* All of a table. */
const void *relay_state_table(const struct relay_state *s, enum relay_state_table table,
			      size_t *ret_n);
const uint64_t *relay_state_totals(const struct relay_state *s);
/* NULL: it was not there. */
const struct relay_state_service *relay_state_find(const struct relay_state *s,
						   const struct service *service);
const struct relay_state_endpoint *
relay_state_endpoints(const struct relay_state *s, const struct relay_state_service *of);
/* Those of a service are in a row. */
const struct relay_state_binding *
relay_state_bindings(const struct relay_state *s, const struct relay_state_service *of,
		     size_t *ret_n);
uint64_t relay_state_frontend_n(const struct relay_state *s,
				const struct relay_listener_key *key);
