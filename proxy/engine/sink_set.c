#include "proxy/engine/sink_set.h"

#include <errno.h>
#include <poll.h>

#include "core/sink.h"

uint64_t sink_set_delay(const struct sink_set *set, uint64_t random)
{
	uint64_t delay_us = UINT64_MAX;

	for (size_t i = 0; i < set->dataplane->n_sinks; i++) {
		uint64_t sink_us = sink_state_delay(&set->states[i], random);

		delay_us = sink_us < delay_us ? sink_us : delay_us;
	}
	return delay_us;
}

bool sink_set_is_changed(const struct sink_set *set)
{
	for (size_t i = 0; i < set->dataplane->n_sinks; i++)
		if (set->states[i].is_changed)
			return true;
	return false;
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct sink_state *s = io->data;

	if (!sink_check(sink_state_sink(s)))
		return;
	s->is_changed = true;
	s->set->changed(s->set->data);
}

static void work(struct sink_state *s)
{
	int err = sink_state_sink(s)->ops->work(sink_state_sink(s));

	if (!s->is_working || err == -EINPROGRESS)
		return;
	s->is_working = false;
	sink_state_note_result(s, err);
	s->set->changed(s->set->data);
}

static void on_work(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	work(io->data);
}

static void finish(struct sink_state *s)
{
	while (s->is_working) {
		struct pollfd fd = {
			.fd = sink_state_sink(s)->ops->work_fd(sink_state_sink(s)),
			.events = POLLIN,
		};

		(void)poll(&fd, 1, -1);
		work(s);
	}
}

void sink_set_finish(struct sink_set *set)
{
	for (size_t i = 0; i < set->dataplane->n_sinks; i++)
		finish(&set->states[i]);
}

void sink_set_init(struct sink_set *set, uint64_t first_backoff_us,
		   uint64_t max_backoff_us)
{
	const struct backoff backoff = {
		.first_us = first_backoff_us,
		.max_us = max_backoff_us,
	};

	for (size_t i = 0; i < DATAPLANE_MAX_SINKS; i++)
		sink_state_init(&set->states[i], set, &backoff);
}

void sink_set_fini(struct sink_set *set)
{
	for (size_t i = 0; i < DATAPLANE_MAX_SINKS; i++)
		sink_state_fini(&set->states[i]);
}

static void watch(struct ev_loop *loop, struct sink_state *s, ev_io *io,
		  void (*fn)(struct ev_loop *loop, ev_io *io, int revents), int fd)
{
	if (fd < 0)
		return;
	ev_io_init(io, fn, fd, EV_READ);
	io->data = s;
	ev_io_start(loop, io);
}

void sink_set_start(struct sink_set *set, struct ev_loop *loop)
{
	for (size_t i = 0; i < set->dataplane->n_sinks; i++) {
		struct sink_state *s = &set->states[i];
		const struct sink *sink = set->dataplane->sinks[i];

		watch(loop, s, &s->io, on_io, sink_fd(sink));
		if (sink->ops->work)
			watch(loop, s, &s->work_io, on_work, sink->ops->work_fd(sink));
	}
}

void sink_set_stop(struct sink_set *set, struct ev_loop *loop)
{
	for (size_t i = 0; i < DATAPLANE_MAX_SINKS; i++) {
		ev_io_stop(loop, &set->states[i].io);
		ev_io_stop(loop, &set->states[i].work_io);
	}
}
