/*
 * The listeners of a frontend, as the sink sees them: one socket for each worker
 * (SO_REUSEPORT), or one for all when there are many frontends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/hash.h"
#include "proxy/relay/relay_filter.h"
#include "proxy/relay/relay_worker.h"

struct relay_listener_key {
	struct addr addr;
	uint16_t port;
	uint8_t proto;
	uint8_t zero;
};

struct relay_listener {
	struct relay_listener_key key; /* first: items start with their key */
	struct relay_filter filter;    /* attached to all of them */
	const void *owner; /* of the sink; NULL: closed at the end of the change set */
	bool is_orphan;	   /* in the sink's list of those that lost their owner */
	uint64_t n_before; /* connections that earlier processes accepted */
	unsigned n_ears;
	struct relay_ear *ears[];
};

extern const struct hash_ops relay_listener_ops;

/* addr is that of the frontend, or one of the node's if it is everywhere. */
struct relay_listener_key relay_listener_key_of(const struct service *service,
						const struct frontend *f,
						const struct addr *addr);
/* Whether clients meet something else than a closed port. */
bool relay_listener_is_needed(const struct service *service, const struct frontend *f);

/* One batch of messages for each worker. */
struct relay_outbox {
	struct relay_messages *of_worker;
	const struct relay_shared *shared;
};

void relay_outbox_add(struct relay_outbox *out, const struct relay_worker *to,
		      struct relay_message *m);
/*
 * Binds the sockets and queues them for the workers. 0, or -errno; why is then a
 * static text or NULL.
 */
int relay_listener_open(struct relay_outbox *out, struct relay_service *service,
			const struct frontend *f, const struct relay_listener_key *key,
			bool is_shared, struct relay_listener **ret,
			const char **ret_why);
/* From now on it serves this version. 0, or -errno. */
int relay_listener_retarget(struct relay_listener *l, struct relay_outbox *out,
			    struct relay_service *service, const struct frontend *f);
/* Takes it. */
void relay_listener_close(struct relay_listener *l, struct relay_outbox *out);
/* The same, but the next process serves it, and accepted connections continue. */
void relay_listener_leave(struct relay_listener *l, struct relay_outbox *out);
uint64_t relay_listener_n_connections(const struct relay_listener *l);
