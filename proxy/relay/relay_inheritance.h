/*
 * Listening sockets and the saved state of the process before this one, which
 * sent them or left them with the service manager.  Only the kernel's description
 * of a descriptor counts, never a name that came with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"

struct relay_listener_key;

struct relay_inheritance {  /* embedded */
	struct hash groups; /* of sockets, by listener key */
	size_t n_sockets;
	int state_fd;	 /* a memfd, or -1 */
	int transfer_fd; /* a Unix socket, see relay_transfer.h; or -1 */
};

void relay_inheritance_init(struct relay_inheritance *in);
/*
 * Takes the descriptor: a state, a transfer, or a socket at which clients of TCP or UDP
 * arrive.
 * 0, or it is closed and -EXDEV (of another network namespace) or -EINVAL.
 */
int relay_inheritance_add(struct relay_inheritance *in, int fd);
/* How many sockets listen there, and one of them, which the caller owns; -1: none. */
size_t relay_inheritance_n(const struct relay_inheritance *in,
			   const struct relay_listener_key *key);
int relay_inheritance_take(struct relay_inheritance *in,
			   const struct relay_listener_key *key);
/* Closes the rest; unused may be NULL. */
void relay_inheritance_fini(struct relay_inheritance *in,
			    void (*unused)(void *data,
					   const struct relay_listener_key *key),
			    void *data);
