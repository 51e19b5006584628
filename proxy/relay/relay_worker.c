#include "proxy/relay/relay_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"
#include "proxy/relay/relay_conn.h"
#include "proxy/relay/relay_surrender.h"
#include "proxy/relay/relay_udp.h"

#define MAX_ACCEPTED 64 /* in a row */
#define TICK_SEC     0.02
#define PAUSE_LOG_US UINT64_C(60000000)

uint64_t relay_worker_random(struct relay_worker *w)
{
	uint64_t x = w->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	w->random = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

void relay_worker_need_tick(struct relay_worker *w)
{
	if (!ev_is_active(&w->tick))
		ev_timer_again(w->loop, &w->tick);
}

void relay_worker_need_review(struct relay_worker *w, uint64_t at_ms)
{
	if (!w->review_ms || at_ms < w->review_ms)
		w->review_ms = at_ms;
	relay_worker_need_tick(w);
}

struct relay_message *relay_message_new(enum relay_message_kind kind,
					struct relay_ear *ear)
{
	struct relay_message *m = xcalloc(1, sizeof(*m));

	m->kind = kind;
	m->ear = ear;
	m->fd = -1;
	return m;
}

void relay_worker_send(struct relay_worker *w, struct relay_messages *messages)
{
	if (STAILQ_EMPTY(messages))
		return;
	(void)pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&w->inbox, messages);
	(void)pthread_mutex_unlock(&w->lock);
	ev_async_send(w->loop, &w->wake);
}

/* ---- accepting ---- */

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
	ev_io_stop(w->loop, &ear->io);
	ear->is_paused = true;
	LIST_INSERT_HEAD(&w->paused, ear, in_paused);
	relay_worker_need_tick(w);
}

static void resume_ears(struct relay_worker *w)
{
	struct relay_ear *ear;

	while ((ear = LIST_FIRST(&w->paused))) {
		LIST_REMOVE(ear, in_paused);
		ear->is_paused = false;
		ev_io_start(w->loop, &ear->io);
	}
}

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

static void take_connection(struct relay_ear *ear, int fd, const struct sockaddr *peer)
{
	struct relay_worker *w = ear->worker, *to = w;

	relay_count(&ear->n_connections, 1);
	if (ear->is_shared)
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

static void on_accept(struct ev_loop *loop, ev_io *io, int revents)
{
	struct relay_ear *ear = io->data;
	struct relay_limit *limit = ear->worker->shared->limit;

	for (int i = 0; i < MAX_ACCEPTED; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd;

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
		relay_limit_give_conn(limit);
		if (is_shortage(errno))
			pause_ear(ear, strerror(errno));
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

/* ---- messages ---- */

static bool is_udp(const struct relay_ear *ear)
{
	return ear->service->service->proto == IPPROTO_UDP;
}

static void start_ear(struct relay_worker *w, struct relay_ear *ear)
{
	LIST_INSERT_HEAD(&w->ears, ear, in_worker);
	if (is_udp(ear)) {
		if (!w->udp)
			w->udp = relay_udp_new(w);
		relay_udp_start_ear(w->udp, ear);
		return;
	}
	ev_io_init(&ear->io, on_accept, ear->io.fd, EV_READ);
	ear->io.data = ear;
	ev_io_start(w->loop, &ear->io);
}

/*
 * Connections that were not accepted yet are reset by the kernel, unless another process
 * has the socket, too. Then the file stays in this epoll set after close(), which libev
 * notices: it makes a new set when an event does not fit.
 */
static void close_ear(struct relay_worker *w, struct relay_ear *ear)
{
	ev_io_stop(w->loop, &ear->io);
	if (is_udp(ear))
		relay_udp_stop_ear(w->udp, ear);
	if (ear->is_paused)
		LIST_REMOVE(ear, in_paused);
	LIST_REMOVE(ear, in_worker);
	(void)close(ear->io.fd);
	relay_limit_give_ear(w->shared->limit, ear->service->service->proto);
	relay_service_unref(ear->service);
	free(ear);
}

static bool is_at(const struct relay_conn *c, const struct relay_service *service,
		  const struct frontend *frontend)
{
	return c->service->account == service->account &&
	       c->frontend->port == frontend->port &&
	       addr_equal(&c->frontend->addr, &frontend->addr);
}

/* The frontend has a new version, or (NULL) is removed. */
static void review_holding(struct relay_worker *w, const struct relay_ear *ear,
			   struct relay_service *service, const struct frontend *frontend)
{
	struct relay_conn *c = LIST_FIRST(&w->holding), *next;

	for (; c; c = next) {
		next = LIST_NEXT(c, in_state);
		if (!is_at(c, ear->service, ear->frontend))
			continue;
		if (service)
			relay_connect_retarget(c, service, frontend);
		else
			relay_conn_reset(c);
	}
}

static void retarget(struct relay_worker *w, struct relay_ear *ear,
		     struct relay_service *service, const struct frontend *frontend)
{
	review_holding(w, ear, service, frontend);
	relay_service_unref(ear->service);
	ear->service = service;
	ear->frontend = frontend;
	if (is_udp(ear))
		relay_udp_retarget(ear);
}

static void review(struct relay_worker *w, struct relay_conns *conns, uint64_t now_ms)
{
	struct relay_conn *c = LIST_FIRST(conns), *next;

	for (; c; c = next) {
		uint64_t at_ms =
			c->endpoint ? relay_counted(&c->endpoint->close_at_ms) : 0;

		next = LIST_NEXT(c, in_state);
		if (!at_ms)
			continue;
		if (at_ms <= now_ms)
			relay_conn_reset(c);
		else
			relay_worker_need_review(w, at_ms);
	}
}

static void review_all(struct relay_worker *w)
{
	w->review_ms = 0;
	review(w, &w->relaying, relay_now_ms());
	if (w->udp)
		relay_udp_review(w->udp, relay_now_ms());
	if (w->review_ms)
		relay_worker_need_tick(w);
}

static void accept_handed(struct relay_worker *w, const struct relay_message *m)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (getpeername(m->fd, (struct sockaddr *)&peer, &len) == 0) {
		relay_conn_accept(w, m->fd, (const struct sockaddr *)&peer, m->service,
				  m->frontend);
	} else { /* reset meanwhile */
		(void)close(m->fd);
		relay_limit_give_conn(w->shared->limit);
	}
	relay_service_unref(m->service);
}

static void handle(struct relay_worker *w, const struct relay_message *m)
{
	switch (m->kind) {
	case RELAY_LISTEN:
		start_ear(w, m->ear);
		break;
	case RELAY_RETARGET:
		retarget(w, m->ear, m->service, m->frontend);
		break;
	case RELAY_CLOSE:
		review_holding(w, m->ear, NULL, NULL);
		close_ear(w, m->ear);
		break;
	case RELAY_LEAVE:
		close_ear(w, m->ear);
		break;
	case RELAY_ACCEPTED:
		accept_handed(w, m);
		break;
	case RELAY_SURRENDER:
		relay_surrender(w, m->fd);
		break;
	case RELAY_ADOPT:
		relay_surrender_adopt(w, m->ear, m->fd, m->record);
		break;
	case RELAY_RESUME:
		relay_surrender_resume(w);
		break;
	case RELAY_REVIEW:
		review_all(w);
		break;
	case RELAY_STOP:
		ev_break(w->loop, EVBREAK_ALL);
		break;
	}
}

static void handle_inbox(struct relay_worker *w)
{
	struct relay_messages messages = STAILQ_HEAD_INITIALIZER(messages);
	struct relay_message *m;

	(void)pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&messages, &w->inbox);
	(void)pthread_mutex_unlock(&w->lock);
	while ((m = STAILQ_FIRST(&messages))) {
		STAILQ_REMOVE_HEAD(&messages, next);
		handle(w, m);
		free(m->record);
		free(m);
	}
}

static void on_wake(struct ev_loop *loop, ev_async *wake, int revents)
{
	handle_inbox(wake->data);
}

/* ---- time ---- */

static void tick_list(struct relay_conns *conns, uint64_t now_ms)
{
	struct relay_conn *c = LIST_FIRST(conns), *next;

	for (; c; c = next) {
		next = LIST_NEXT(c, in_state);
		if (c->deadline_ms <= now_ms)
			relay_connect_expire(c);
	}
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct relay_worker *w = timer->data;
	uint64_t now_ms = relay_now_ms();

	tick_list(&w->connecting, now_ms);
	tick_list(&w->holding, now_ms);
	if (w->review_ms && w->review_ms <= now_ms)
		review_all(w);
	resume_ears(w);
	if (LIST_EMPTY(&w->connecting) && LIST_EMPTY(&w->holding) && !w->review_ms)
		ev_timer_stop(loop, timer);
}

static void reap(struct relay_worker *w)
{
	struct relay_conn *c;

	while ((c = LIST_FIRST(&w->closed))) {
		LIST_REMOVE(c, in_state);
		relay_conn_free(c);
	}
	if (w->udp)
		relay_udp_finish(w->udp);
}

static void on_reap(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	reap(prepare->data);
}

static void on_sockets(struct ev_loop *loop, ev_io *io, int revents)
{
	struct relay_worker *w = io->data;

	relay_poll_dispatch(&w->poll, relay_conn_event);
}

/* ---- the thread ---- */

static void *run(void *data)
{
	struct relay_worker *w = data;

	(void)ev_run(w->loop, 0);
	if (!__atomic_load_n(&w->is_stopped, __ATOMIC_ACQUIRE)) {
		/* its clients would wait for ever; the supervisor starts a whole process */
		log_err("userspace: a worker ended; the process ends with it");
		abort();
	}
	return NULL;
}

static void init_watchers(struct relay_worker *w)
{
	ev_async_init(&w->wake, on_wake);
	w->wake.data = w;
	ev_async_start(w->loop, &w->wake);
	ev_prepare_init(&w->reaper, on_reap);
	w->reaper.data = w;
	ev_prepare_start(w->loop, &w->reaper);
	ev_timer_init(&w->tick, on_tick, 0., TICK_SEC);
	w->tick.data = w;
	ev_io_init(&w->sockets, on_sockets, w->poll.fd, EV_READ);
	w->sockets.data = w;
	ev_io_start(w->loop, &w->sockets);
}

static void worker_fini(struct relay_worker *w)
{
	if (w->loop)
		ev_loop_destroy(w->loop);
	relay_poll_close(&w->poll);
	(void)pthread_mutex_destroy(&w->lock);
	relay_pipes_fini(&w->mover.pipes, w->mover.calls);
	free(w);
}

int relay_worker_new(const struct relay_shared *shared, struct relay_worker **ret)
{
	struct relay_worker *w = xcalloc(1, sizeof(*w));
	int err;

	w->shared = shared;
	w->mover.calls = &relay_kernel;
	w->pauses = (struct log_limiter){.burst = 1, .interval_us = PAUSE_LOG_US};
	STAILQ_INIT(&w->inbox);
	(void)pthread_mutex_init(&w->lock, NULL); /* cannot fail */
	if (getrandom(&w->random, sizeof(w->random), 0) == -1 || !w->random)
		w->random = clock_monotonic_us() | 1;
	err = relay_poll_open(&w->poll);
	if (err) {
		worker_fini(w);
		return err;
	}
	/* other backends fail under load, and the environment could name one */
	w->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!w->loop) {
		err = -EMFILE;
		worker_fini(w);
		return err;
	}
	init_watchers(w);
	err = thread_start(&w->thread, run, w);
	if (err) {
		worker_fini(w);
		return err;
	}
	*ret = w;
	return 0;
}

static void close_conns(struct relay_conns *conns)
{
	while (!LIST_EMPTY(conns))
		relay_conn_close(LIST_FIRST(conns));
}

void relay_worker_free(struct relay_worker *w)
{
	struct relay_messages messages = STAILQ_HEAD_INITIALIZER(messages);
	struct relay_message *stop = relay_message_new(RELAY_STOP, NULL);

	__atomic_store_n(&w->is_stopped, true, __ATOMIC_RELEASE);
	STAILQ_INSERT_TAIL(&messages, stop, next);
	relay_worker_send(w, &messages);
	(void)pthread_join(w->thread, NULL);
	handle_inbox(w); /* connections that others handed over */
	while (!LIST_EMPTY(&w->ears))
		close_ear(w, LIST_FIRST(&w->ears));
	close_conns(&w->connecting);
	close_conns(&w->holding);
	close_conns(&w->relaying);
	reap(w);
	relay_udp_free(w->udp);
	worker_fini(w);
}
