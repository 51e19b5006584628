#include "proxy/relay/relay_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"
#include "proxy/relay/relay_conn.h"
#include "proxy/relay/relay_ear.h"
#include "proxy/relay/relay_surrender.h"
#include "proxy/relay/relay_udp.h"

#define TICK_MS	     20
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
	if (!w->tick_ms)
		w->tick_ms = relay_now_ms() + TICK_MS;
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

static void wake(const struct relay_worker *w)
{
	const uint64_t one = 1;

	/* a counter is never read, and never full */
	if (write(w->wake.fd, &one, sizeof(one)) == -1)
		abort();
}

void relay_worker_send(struct relay_worker *w, struct relay_messages *messages)
{
	if (STAILQ_EMPTY(messages))
		return;
	(void)pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&w->inbox, messages);
	(void)pthread_mutex_unlock(&w->lock);
	wake(w);
}

/* ---- messages ---- */

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
	if (relay_ear_is_udp(ear))
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
		relay_ear_open(w, m->ear);
		break;
	case RELAY_RETARGET:
		retarget(w, m->ear, m->service, m->frontend);
		break;
	case RELAY_CLOSE:
		review_holding(w, m->ear, NULL, NULL);
		relay_ear_close(w, m->ear);
		break;
	case RELAY_LEAVE:
		relay_ear_close(w, m->ear);
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
		w->has_ended = true;
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

static void on_wake(struct relay_watch *wake, uint32_t events)
{
	handle_inbox(container_of(wake, struct relay_worker, wake));
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

static void tick(struct relay_worker *w, uint64_t now_ms)
{
	tick_list(&w->connecting, now_ms);
	tick_list(&w->holding, now_ms);
	if (w->review_ms && w->review_ms <= now_ms)
		review_all(w);
	relay_ear_resume_paused(w);
	if (LIST_EMPTY(&w->connecting) && LIST_EMPTY(&w->holding) &&
	    LIST_EMPTY(&w->paused) && !w->review_ms)
		w->tick_ms = 0;
	else
		w->tick_ms = now_ms + TICK_MS;
}

/* Returns how long nothing else has to be done, in milliseconds; -1: for ever. */
static int run_timers(struct relay_worker *w)
{
	uint64_t now_ms, at_ms;

	if (!w->tick_ms && !w->sweep_ms)
		return -1;
	now_ms = relay_now_ms();
	if (w->tick_ms && w->tick_ms <= now_ms)
		tick(w, now_ms);
	if (w->sweep_ms && w->sweep_ms <= now_ms)
		relay_udp_sweep(w->udp, now_ms);
	at_ms = w->tick_ms ? w->tick_ms : w->sweep_ms;
	if (w->sweep_ms && w->sweep_ms < at_ms)
		at_ms = w->sweep_ms;
	if (!at_ms)
		return -1;
	return at_ms <= now_ms ? 0 : (int)(at_ms - now_ms);
}

/* Closed connections are freed outside of callbacks. */
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

/* ---- the thread ---- */

static void *run(void *data)
{
	struct relay_worker *w = data;
	int err = 0;

	while (!w->has_ended && !err) {
		int timeout_ms = run_timers(w);

		reap(w);
		err = relay_poll_dispatch(&w->poll, timeout_ms);
	}
	if (!__atomic_load_n(&w->is_stopped, __ATOMIC_ACQUIRE)) {
		/* its clients would wait for ever; the supervisor starts a whole process */
		log_err("userspace: a worker ended; the process ends with it");
		abort();
	}
	return NULL;
}

/* Each write is an event of its own. */
static int open_wake(struct relay_worker *w)
{
	w->wake.fn = on_wake;
	w->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake.fd == -1)
		return -errno;
	return relay_poll_add(&w->poll, w->mover.calls, &w->wake, EPOLLIN | EPOLLET);
}

static void worker_fini(struct relay_worker *w)
{
	relay_poll_close(&w->poll);
	if (w->wake.fd >= 0)
		(void)close(w->wake.fd);
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
	w->wake.fd = -1;
	err = relay_poll_open(&w->poll);
	if (!err)
		err = open_wake(w);
	if (!err)
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
		relay_ear_close(w, LIST_FIRST(&w->ears));
	close_conns(&w->connecting);
	close_conns(&w->holding);
	close_conns(&w->relaying);
	reap(w);
	relay_udp_free(w->udp);
	worker_fini(w);
}
