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
	void *owner; /* NULL: it is free */
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
		   int fd, uint32_t events, uint32_t slot)
{
	struct epoll_event event = {
		.events = events | EPOLLET,
		.data.u64 = (uint64_t)p->slots[slot].generation << 32 | slot,
	};

	return calls->epoll_ctl(p->fd, what, fd, &event) == -1 ? -errno : 0;
}

int relay_poll_add(struct relay_poll *p, const struct relay_calls *calls, int fd,
		   uint32_t events, void *owner, uint32_t *ret_slot)
{
	uint32_t slot = take_slot(p);
	int err;

	p->slots[slot].owner = owner;
	err = control(p, calls, EPOLL_CTL_ADD, fd, events, slot);
	if (err) {
		relay_poll_forget(p, slot);
		return err;
	}
	*ret_slot = slot;
	return 0;
}

int relay_poll_again(struct relay_poll *p, const struct relay_calls *calls, int fd,
		     uint32_t events, uint32_t slot)
{
	return control(p, calls, EPOLL_CTL_MOD, fd, events, slot);
}

void relay_poll_forget(struct relay_poll *p, uint32_t slot)
{
	struct relay_slot *s = &p->slots[slot];

	s->owner = NULL;
	s->generation++;
	s->next_free = p->free;
	p->free = slot;
}

void relay_poll_dispatch(struct relay_poll *p, void (*fn)(void *owner, uint32_t events))
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(p->fd, events, BATCH, 0);

	for (int i = 0; i < n; i++) {
		const struct relay_slot *s = &p->slots[(uint32_t)events[i].data.u64];

		if (s->owner && s->generation == events[i].data.u64 >> 32)
			fn(s->owner, events[i].events);
	}
}
