/*
 * The sockets of a worker's connections, in an epoll set of their own. It is
 * edge-triggered: an event is reported once, and again only after a change.
 *
 * A registration has a slot and a generation, which the kernel's events carry. Events of
 * an earlier registration are ignored: of one that ended earlier in the same batch, and
 * of a closed socket that another process still has (a child has it until it executes
 * its program). So a socket is closed without removing it from the set.
 */
#pragma once

#include <stdint.h>

struct relay_calls;
struct relay_slot;

struct relay_poll { /* embedded */
	int fd;
	uint32_t n_used, n_room;  /* of the slots; the first one stays unused */
	uint32_t free;		  /* the first free one below n_used, or 0 */
	struct relay_slot *slots; /* they move when there are more */
};

/* 0, or -errno. */
int relay_poll_open(struct relay_poll *p);
void relay_poll_close(struct relay_poll *p);
/*
 * Reports these events (EPOLLIN, ...) of the socket with its owner. 0, or -errno; the
 * slot is never 0.
 */
int relay_poll_add(struct relay_poll *p, const struct relay_calls *calls, int fd,
		   uint32_t events, void *owner, uint32_t *ret_slot);
/* From now on these events; those that are already there are reported again. */
int relay_poll_again(struct relay_poll *p, const struct relay_calls *calls, int fd,
		     uint32_t events, uint32_t slot);
/* The socket is about to be closed: none of its events is reported any more. */
void relay_poll_forget(struct relay_poll *p, uint32_t slot);
/* Reports a batch of events, without waiting. */
void relay_poll_dispatch(struct relay_poll *p, void (*fn)(void *owner, uint32_t events));
