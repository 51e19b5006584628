#include "proxy/relay/relay_ear.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/relay/relay_conn.h"
#include "proxy/relay/relay_udp.h"

#define MAX_ACCEPTED 64 /* in a row */

bool relay_ear_is_udp(const struct relay_ear *ear)
{
	return ear->service->service->proto == IPPROTO_UDP;
}

/* ---- watching ---- */

/* Of the reasons that are over a moment later, one line a minute. */
static void log_pause(struct relay_worker *w, const char *why)
{
	if (log_limiter_take(&w->pauses, 1, clock_monotonic_us()))
		log_warn("userspace: cannot accept connections: %s; new clients wait",
			 why);
}

static void pause_ear(struct relay_ear *ear, const char *why)
{
	struct relay_worker *w = ear->worker;

	log_pause(w, why);
	relay_ear_stop(ear);
	ear->is_paused = true;
	LIST_INSERT_HEAD(&w->paused, ear, in_paused);
	relay_worker_need_tick(w);
}

static int watch(struct relay_ear *ear)
{
	struct relay_worker *w = ear->worker;

	return relay_poll_add(&w->poll, w->mover.calls, &ear->io, EPOLLIN);
}

void relay_ear_start(struct relay_ear *ear)
{
	int err = watch(ear);

	if (err)
		pause_ear(ear, strerror(-err));
}

void relay_ear_stop(struct relay_ear *ear)
{
	struct relay_worker *w = ear->worker;

	relay_poll_remove(&w->poll, w->mover.calls, &ear->io);
	if (ear->is_paused)
		LIST_REMOVE(ear, in_paused);
	ear->is_paused = false;
}

void relay_ear_resume_paused(struct relay_worker *w)
{
	struct relay_ear *ear;

	while ((ear = LIST_FIRST(&w->paused)) && watch(ear) == 0) {
		LIST_REMOVE(ear, in_paused);
		ear->is_paused = false;
	}
}

/* ---- accepting ---- */

static struct relay_worker *least_busy(const struct relay_shared *shared)
{
	struct relay_worker *best = shared->workers[0];

	for (unsigned i = 1; i < shared->n_workers; i++)
		if (__atomic_load_n(&shared->workers[i]->n_conns, __ATOMIC_RELAXED) <
		    __atomic_load_n(&best->n_conns, __ATOMIC_RELAXED))
			best = shared->workers[i];
	return best;
}

static void hand_over(struct relay_worker *to, const struct relay_ear *ear, int fd)
{
	struct relay_messages messages = STAILQ_HEAD_INITIALIZER(messages);
	struct relay_message *m = relay_message_new(RELAY_ACCEPTED, NULL);

	m->fd = fd;
	m->service = relay_service_ref(ear->service);
	m->frontend = ear->frontend;
	STAILQ_INSERT_TAIL(&messages, m, next);
	relay_worker_send(to, &messages);
}

/* It may wait for an endpoint: then messages of the listener must reach its worker. */
static bool may_wait(const struct relay_ear *ear)
{
	if (!service_times(ear->service->service)->hold_ms)
		return false;
	for (int class = 0; class < CLIENT_N; class ++)
		if (ear->frontend->from[class].action == ACTION_REJECT)
			return true;
	return false;
}

static void take_connection(struct relay_ear *ear, int fd, const struct sockaddr *peer)
{
	struct relay_worker *w = ear->worker, *to = w;

	relay_count(&ear->n_connections, 1);
	if (ear->is_shared && !may_wait(ear))
		to = least_busy(w->shared);
	if (to == w)
		relay_conn_accept(w, fd, peer, ear->service, ear->frontend);
	else
		hand_over(to, ear, fd);
}

static bool is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/*
 * Twice as many as the last time if that left some, which the set reports again
 * immediately. So there is rarely a call that finds none.
 */
static void expect(struct relay_ear *ear)
{
	uint64_t n_batches = ear->worker->poll.n_batches;

	if (n_batches == ear->n_batches + 1 && ear->n_expected < MAX_ACCEPTED)
		ear->n_expected *= 2;
	ear->n_batches = n_batches;
}

static void on_accept(struct relay_watch *io, uint32_t events)
{
	struct relay_ear *ear = container_of(io, struct relay_ear, io);
	struct relay_limit *limit = ear->worker->shared->limit;

	expect(ear);
	for (unsigned i = 0; i < ear->n_expected; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd, err;

		if (!relay_limit_take_conn(limit)) {
			pause_ear(ear, "the limit of open files is reached");
			return;
		}
		fd = accept4(io->fd, (struct sockaddr *)&peer, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_connection(ear, fd, (const struct sockaddr *)&peer);
			continue;
		}
		err = errno;
		relay_limit_give_conn(limit);
		if (err == ECONNABORTED || err == EINTR)
			continue;
		if (is_shortage(err))
			pause_ear(ear, strerror(err));
		ear->n_expected = i ? i : 1;
		return;
	}
}

/* ---- opening and closing ---- */

void relay_ear_open(struct relay_worker *w, struct relay_ear *ear)
{
	LIST_INSERT_HEAD(&w->ears, ear, in_worker);
	if (relay_ear_is_udp(ear)) {
		if (!w->udp)
			w->udp = relay_udp_new(w);
		relay_udp_open_ear(w->udp, ear);
	} else {
		ear->n_expected = 1;
		ear->io.fn = on_accept;
	}
	if (!ear->is_waiting)
		relay_ear_start(ear);
}

void relay_ear_close(struct relay_worker *w, struct relay_ear *ear)
{
	relay_ear_stop(ear);
	if (relay_ear_is_udp(ear))
		relay_udp_close_ear(w->udp, ear);
	LIST_REMOVE(ear, in_worker);
	(void)close(ear->io.fd);
	relay_limit_give_ear(w->shared->limit, ear->service->service->proto);
	relay_service_unref(ear->service);
	free(ear);
}
