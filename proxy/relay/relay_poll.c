#include "proxy/relay/relay_poll.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/mem.h"
#include "proxy/relay/relay_calls.h"

#define BATCH	   64
#define FIRST_ROOM 64

struct relay_slot {
	struct relay_watch *watch; /* NULL: it is free */
	uint32_t generation;
	uint32_t next_free;
};

int relay_poll_open(struct relay_poll *p)
{
	*p = (struct relay_poll){.fd = epoll_create1(EPOLL_CLOEXEC)};
	return p->fd == -1 ? -errno : 0;
}

void relay_poll_close(struct relay_poll *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	free(p->slots);
	*p = (struct relay_poll){.fd = -1};
}

static uint32_t take_slot(struct relay_poll *p)
{
	uint32_t slot = p->free;

	if (slot) {
		p->free = p->slots[slot].next_free;
		return slot;
	}
	if (p->n_used == p->n_room) {
		p->n_room = p->n_room ? 2 * p->n_room : FIRST_ROOM;
		p->slots = xreallocarray(p->slots, p->n_room, sizeof(*p->slots));
		p->n_used += p->n_used == 0;
	}
	p->slots[p->n_used] = (struct relay_slot){0};
	return p->n_used++;
}

static int control(const struct relay_poll *p, const struct relay_calls *calls, int what,
		   const struct relay_watch *watch, uint32_t events)
{
	struct epoll_event event = {
		.events = events,
		.data.u64 =
			(uint64_t)p->slots[watch->slot].generation << 32 | watch->slot,
	};

	return calls->epoll_ctl(p->fd, what, watch->fd, &event) == -1 ? -errno : 0;
}

int relay_poll_add(struct relay_poll *p, const struct relay_calls *calls,
		   struct relay_watch *watch, uint32_t events)
{
	int err;

	watch->slot = take_slot(p);
	p->slots[watch->slot].watch = watch;
	err = control(p, calls, EPOLL_CTL_ADD, watch, events);
	if (err)
		relay_poll_forget(p, watch);
	return err;
}

int relay_poll_again(struct relay_poll *p, const struct relay_calls *calls,
		     const struct relay_watch *watch, uint32_t events)
{
	return control(p, calls, EPOLL_CTL_MOD, watch, events);
}

void relay_poll_forget(struct relay_poll *p, struct relay_watch *watch)
{
	struct relay_slot *s;

	if (!watch->slot)
		return;
	s = &p->slots[watch->slot];
	s->watch = NULL;
	s->generation++;
	s->next_free = p->free;
	p->free = watch->slot;
	watch->slot = 0;
}

void relay_poll_remove(struct relay_poll *p, const struct relay_calls *calls,
		       struct relay_watch *watch)
{
	if (watch->slot)
		(void)control(p, calls, EPOLL_CTL_DEL, watch, 0); /* it is in the set */
	relay_poll_forget(p, watch);
}

int relay_poll_dispatch(struct relay_poll *p, int timeout_ms)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(p->fd, events, BATCH, timeout_ms);

	if (n == -1)
		return errno == EINTR ? 0 : -errno;
	p->n_batches++;
	for (int i = 0; i < n; i++) {
		const struct relay_slot *s = &p->slots[(uint32_t)events[i].data.u64];

		if (s->watch && s->generation == events[i].data.u64 >> 32)
			s->watch->fn(s->watch, events[i].events);
	}
	return 0;
}
