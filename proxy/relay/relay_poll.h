/*
 * The event loop of a worker: one epoll set, of all sockets that it watches.
 *
 * A registration has a slot and a generation, which the kernel's events carry. Events of
 * an earlier registration are ignored: of one that ended earlier in the same batch, and
 * of a closed socket that another process still has (a child has it until it executes
 * its program). So a socket can be closed without removing it from the set.
 */
#pragma once

#include <stdint.h>

struct relay_calls;
struct relay_slot;

struct relay_watch { /* embedded */
	void (*fn)(struct relay_watch *watch, uint32_t events);
	int fd;
	uint32_t slot; /* in the set; 0: it is not watched */
};

struct relay_poll { /* embedded */
	int fd;
	uint64_t n_batches;	  /* of events */
	uint32_t n_used, n_room;  /* of the slots; the first one stays unused */
	uint32_t free;		  /* the first free one below n_used, or 0 */
	struct relay_slot *slots; /* they move when there are more */
};

/* 0, or -errno. */
int relay_poll_open(struct relay_poll *p);
void relay_poll_close(struct relay_poll *p);
/* Reports these events (EPOLLIN, ...) of its descriptor. 0, or -errno. */
int relay_poll_add(struct relay_poll *p, const struct relay_calls *calls,
		   struct relay_watch *watch, uint32_t events);
/* From now on these events; those that are already there are reported again. */
int relay_poll_again(struct relay_poll *p, const struct relay_calls *calls,
		     const struct relay_watch *watch, uint32_t events);
/*
 * None of its events is reported any more. If it is watched, its socket is about to be
 * closed.
 */
void relay_poll_forget(struct relay_poll *p, struct relay_watch *watch);
/* The same of a socket that stays open, here or in another process. */
void relay_poll_remove(struct relay_poll *p, const struct relay_calls *calls,
		       struct relay_watch *watch);
/* Waits that long (-1: for ever) and reports a batch of events. 0, or -errno. */
int relay_poll_dispatch(struct relay_poll *p, int timeout_ms);
