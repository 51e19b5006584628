/*
 * Sockets that are in use, from one process to the next: those of UDP flows towards
 * their endpoints, and of clients that wait for an endpoint.  Each has a record; what the
 * kernel knows of a socket is not in it.  Workers write messages of up to 253
 * sockets, and the end of the connection is the end of the transfer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "proxy/relay/relay_rights.h"

struct relay_transfer_record { /* in this machine's byte order */
	uint64_t cookie;       /* UDP: SO_COOKIE of the frontend's socket */
	uint64_t since_ms;     /* TCP: waits since, of the monotonic clock */
	struct addr frontend;
	struct addr client; /* of UDP */
	uint32_t scope;	    /* of a link-local client */
	uint16_t frontend_port, client_port;
	uint8_t is_answered;
	uint8_t zero[7];
};

/* ---- writing ---- */

struct relay_transfer { /* embedded; set fd, zero the rest */
	int fd;
	int err; /* of the first message that could not be sent; no other is sent then */
	uint64_t n_sent;
	size_t n;
	int fds[RELAY_RIGHTS_MAX];
	struct relay_transfer_record records[RELAY_RIGHTS_MAX];
};

/*
 * Adds a socket, which stays open until relay_transfer_flush(). The frontend is the own
 * address of the socket at.
 */
void relay_transfer_add(struct relay_transfer *t, int fd, int at,
			const struct relay_transfer_record *record);
void relay_transfer_flush(struct relay_transfer *t);
/* Identifies a socket in all processes that have it; 0: the kernel does not know. */
uint64_t relay_transfer_cookie(int fd);

/* ---- reading ---- */

/*
 * Reads a message; take owns the socket. 0, -EAGAIN, -ECONNRESET at the end, -EBADMSG,
 * or -errno.
 */
int relay_transfer_read(int fd,
			void (*take)(void *data, int fd,
				     const struct relay_transfer_record *record),
			void *data);
