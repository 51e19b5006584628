/*
 * curl requests descriptors to watch and a timer; every event is passed to
 * curl_multi_socket_action().
 */
#include "watchers/transfer/transfers.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"

struct watch { /* one for each descriptor of curl */
	struct ev_io io;
	struct transfers *transfers;
};

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct transfers *t = w->data;
	int running;

	(void)curl_multi_socket_action(t->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	t->progressed(t->data);
}

static void on_io(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct transfers *t = container_of(w, struct watch, io)->transfers;
	int mask = (revents & EV_READ ? CURL_CSELECT_IN : 0) |
		   (revents & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	(void)curl_multi_socket_action(t->multi, w->fd, mask, &running);
	t->progressed(t->data);
}

static int curl_wants_timer(CURLM *multi, long timeout_ms, void *data)
{
	struct transfers *t = data;

	ev_timer_stop(t->loop, &t->timer);
	if (timeout_ms >= 0) {
		ev_timer_set(&t->timer, (double)timeout_ms / 1000.0, 0);
		ev_timer_start(t->loop, &t->timer);
	}
	return 0;
}

static int curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *data,
			     void *socket_data)
{
	struct transfers *t = data;
	struct watch *w = socket_data;
	int events = (what & CURL_POLL_IN ? EV_READ : 0) |
		     (what & CURL_POLL_OUT ? EV_WRITE : 0);

	if (w)
		ev_io_stop(t->loop, &w->io);
	if (what == CURL_POLL_REMOVE) {
		free(w);
		(void)curl_multi_assign(t->multi, fd, NULL);
		return 0;
	}
	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->transfers = t;
		(void)curl_multi_assign(t->multi, fd, w);
	}
	ev_io_init(&w->io, on_io, fd, events);
	ev_io_start(t->loop, &w->io);
	return 0;
}

CURL *transfers_next_ended(struct transfers *t, CURLcode *ret_code)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(t->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		*ret_code = msg->data.result;
		return msg->easy_handle;
	}
	return NULL;
}

void transfers_init(struct transfers *t, struct ev_loop *loop,
		    void (*progressed)(void *data), void *data)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		abort();
	*t = (struct transfers){.loop = loop, .progressed = progressed, .data = data};
	ev_timer_init(&t->timer, on_timer, 0, 0);
	t->timer.data = t;
	t->multi = curl_multi_init();
	if (!t->multi)
		abort();
	(void)curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket);
	(void)curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
	(void)curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, curl_wants_timer);
	(void)curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
}

void transfers_fini(struct transfers *t)
{
	curl_multi_cleanup(t->multi);
	ev_timer_stop(t->loop, &t->timer);
	curl_global_cleanup();
}
