#include "tests/unit/turn_loop.h"

static void on_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

unsigned turn_loop(struct ev_loop *loop, double seconds)
{
	unsigned before = ev_iteration(loop);
	ev_timer timer;

	ev_now_update(loop);
	ev_timer_init(&timer, on_time, seconds, 0.);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	ev_timer_stop(loop, &timer);
	return ev_iteration(loop) - before;
}
