/*
 * A worker: a thread with an event loop of its own, which owns listeners and
 * connections.  It shares with others only what is reference counted or counted
 * atomically.  Messages are all that reaches it.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/clock.h"
#include "core/log_limiter.h"
#include "proxy/relay/relay_affinity.h"
#include "proxy/relay/relay_choice.h"
#include "proxy/relay/relay_limit.h"
#include "proxy/relay/relay_move.h"
#include "proxy/relay/relay_poll.h"
#include "proxy/relay/relay_service.h"

struct relay_conn;
struct relay_flow;
struct relay_udp;
struct relay_inheritance;
struct relay_transfer_record;
struct relay_worker;

LIST_HEAD(relay_conns, relay_conn);
LIST_HEAD(relay_flow_list, relay_flow);

/*
 * A listening socket in a worker, or one for datagrams. Made by the sink, which keeps the pointer for
 * messages; between RELAY_LISTEN and RELAY_CLOSE it belongs to the worker.
 */
struct relay_ear {
	struct relay_watch io;
	struct relay_worker *worker;
	struct relay_service *service;	 /* one reference; replaced by RELAY_RETARGET */
	const struct frontend *frontend; /* of that version */
	uint64_t n_connections;		 /* atomic */
	unsigned n_expected; /* connections to accept in one event, by the last ones */
	uint64_t n_batches;  /* of the worker's set, at the last one */
	bool is_shared;	     /* what it accepts goes to the least busy worker */
	bool is_paused;
	bool is_waiting; /* UDP: the process before this one has its flows, and reads it */
	struct relay_flow_list flows; /* of UDP */
	LIST_ENTRY(relay_ear) in_paused, in_worker;
};

LIST_HEAD(relay_ears, relay_ear);

enum relay_message_kind {
	RELAY_LISTEN,	 /* ear */
	RELAY_RETARGET,	 /* ear, service, frontend */
	RELAY_CLOSE,	 /* ear */
	RELAY_LEAVE,	 /* ear: the next process has it, too */
	RELAY_ACCEPTED,	 /* fd, service, frontend: another worker accepted it */
	RELAY_SURRENDER, /* fd: flows and waiting clients go to the next process */
	RELAY_ADOPT,	 /* ear, fd, record: they arrive there */
	RELAY_RESUME,	 /* that was all of them */
	RELAY_REVIEW,	 /* endpoints were removed: some connections may have to end */
	RELAY_STOP,
};

struct relay_message {
	enum relay_message_kind kind;
	struct relay_ear *ear;
	struct relay_service *service; /* one reference */
	const struct frontend *frontend;
	int fd;
	struct relay_transfer_record *record; /* owned */
	STAILQ_ENTRY(relay_message) next;
};

STAILQ_HEAD(relay_messages, relay_message);

/* Shared by all workers. */
struct relay_shared {
	struct relay_affinity *affinity;
	struct relay_limit *limit;
	struct relay_inheritance *inheritance; /* of the sink's thread; may be NULL */
	bool has_predecessor; /* of the sink's thread: it passes its UDP flows on later */
	struct relay_worker **workers;
	unsigned n_workers;
	uint32_t udp_unanswered_sec, udp_answered_sec; /* idle flows end after that */
};

struct relay_worker {
	const struct relay_shared *shared;
	pthread_t thread;
	bool is_stopped; /* atomic: the end of its loop is wanted */
	bool has_ended;	 /* of its own thread: RELAY_STOP came */
	struct relay_poll poll;
	struct relay_watch wake; /* there are messages */
	uint64_t tick_ms; /* the next tick, while something waits for a time; or 0 */
	uint64_t
		sweep_ms; /* the next look for idle UDP flows, while there are flows; or 0 */
	pthread_mutex_t lock;
	struct relay_messages inbox; /* under the lock */
	struct relay_conns connecting, holding, relaying, closed;
	struct relay_ears ears, paused;
	struct relay_udp *udp; /* NULL until it is needed */
	unsigned n_holding;
	uint32_t n_conns; /* atomic: others look at it */
	uint64_t
		review_ms; /* when connections to removed endpoints are looked at; 0: never */
	uint64_t random;
	uint64_t counters[RELAY_COUNTER_N];  /* atomic, like those of an account */
	struct relay_aside aside, udp_aside; /* endpoints of TCP, and of UDP */
	struct relay_mover mover;
	struct log_limiter pauses; /* lines about listeners that are not accepted from */
};

/* 0, or -errno. */
int relay_worker_new(const struct relay_shared *shared, struct relay_worker **ret);
/* Ends the thread; closes listeners and connections. */
void relay_worker_free(struct relay_worker *w);
/* Takes the messages; the list is empty afterwards. From any thread. */
void relay_worker_send(struct relay_worker *w, struct relay_messages *messages);
struct relay_message *relay_message_new(enum relay_message_kind kind,
					struct relay_ear *ear);

/* For connections, in the worker's thread: */
uint64_t relay_worker_random(struct relay_worker *w);
static inline uint64_t relay_now_ms(void)
{
	return clock_monotonic_us() / 1000;
}
static inline void relay_worker_count(struct relay_worker *w,
				      const struct relay_service *s,
				      enum relay_counter counter, uint64_t n)
{
	relay_count(&s->account->counters[counter], n);
	relay_count(&w->counters[counter], n);
}
/* Something waits for a time: relay_connect_expire() is called until nothing does. */
void relay_worker_need_tick(struct relay_worker *w);
/* A connection to a removed endpoint is closed at that time. */
void relay_worker_need_review(struct relay_worker *w, uint64_t at_ms);
