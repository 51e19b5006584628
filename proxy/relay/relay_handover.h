/*
 * The hand-over of listeners to the next process, through a Unix socket of mode
 * 0600:
 *
 *	new ──▸ old   TAKE
 *	old ──▸ new   SOCKETS (up to 253 descriptors each), STATE (one), END (their number)
 *	new ──▸ old   READY, once it serves all Services
 *	old ──▸ new   messages of relay_transfer.h, until the connection ends
 *
 * Until READY the old process does all that it did before, so a new one that fails
 * changes nothing.  Both accept from the same sockets of TCP in between; those of UDP
 * are read by the old one until it has sent its flows.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct ev_loop;
struct relay_handover;
struct relay_inheritance;

/* ---- the new process ---- */

/*
 * Waits for everything, a few seconds at most. 0 and the connection; -ENOENT: no process
 * offers a hand-over there; -errno: why is then a static text.
 */
int relay_handover_take(const char *path, struct relay_inheritance *in, int *ret_fd,
			const char **ret_why);
/* Reads the answer to TAKE. The same results. */
int relay_handover_read(int fd, struct relay_inheritance *in, const char **ret_why);
/* 0, or -errno. */
int relay_handover_ready(int fd);

/* ---- the old process ---- */

struct relay_handover_hooks {
	/* Calls relay_handover_send_sockets() and relay_handover_send_state(). */
	void (*send)(void *data, struct relay_handover *h);
	/* The new process serves all Services; takes the connection to it. */
	void (*done)(void *data, pid_t by, int fd);
	void *data;
};

/* Listens at path, in place of an older socket. 0, or -errno. */
int relay_handover_new(struct ev_loop *loop, const char *path,
		       const struct relay_handover_hooks *hooks,
		       struct relay_handover **ret);
/* The path stays when a new process was served, which has its own socket there soon. */
void relay_handover_free(struct relay_handover *h);
void relay_handover_send_socket(struct relay_handover *h, int fd);
void relay_handover_send_state(struct relay_handover *h, int fd);
