/*
 * One process, one loop over nonblocking sockets: a fixed array of slots, the
 * first n_flows of them for the open flows.  Counters are in memory shared with
 * the test.  A flow is broken by an error or an end of the stream, a connection
 * by anything but an answer within CONNECTION_US.
 */
#include "tests/kernel/load.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"

#define N_CONNECTIONS 3072 /* concurrent */
#define N_FILES	      4096
#define CONNECTION_US 8000000
#define RETRANSMIT_US 900000 /* a lost SYN is sent again after a second */
#define FLOW_ASK_US   100000

struct slot {
	int fd; /* -1: free */
	bool is_flow, is_asked;
	uint64_t start_us, answered_us;
	uint64_t next_us; /* of a flow: when to ask; once asked, when it was */
};

struct shared {
	struct load_result result;
	bool stop;
};

struct load {
	pid_t pid;
	struct shared *shared;
};

struct loop {
	const struct load_plan *plan;
	struct shared *shared;
	struct slot *slots;
	struct pollfd *polls;
	size_t n;
	struct sockaddr_storage target, source;
	socklen_t len;
};

static void note_error(struct loop *l, const char *what, int err)
{
	struct load_result *r = &l->shared->result;

	if (!r->first_error[0])
		(void)snprintf(r->first_error, sizeof(r->first_error), "%s: %s", what,
			       strerror(err));
}

static int open_socket(struct loop *l, struct slot *s)
{
	const struct linger reset = {.l_onoff = 1};
	int one = 1, fd;

	fd = socket(l->target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	/* connections leave no TIME_WAIT behind, or the ports would run out */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (bind(fd, (const struct sockaddr *)&l->source, l->len) == -1 ||
	    (connect(fd, (const struct sockaddr *)&l->target, l->len) == -1 &&
	     errno != EINPROGRESS)) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	s->fd = fd;
	s->is_asked = false;
	s->start_us = world_now_us();
	return 0;
}

static void end_slot(struct loop *l, struct slot *s, int err)
{
	struct load_result *r = &l->shared->result;

	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	if (!err)
		return;
	if (s->is_flow) {
		r->n_flows_broken++;
		r->n_flows_open--;
		note_error(l, "open flow", err);
		return;
	}
	if (err == ECONNREFUSED)
		r->n_refused++;
	else if (err == ETIMEDOUT)
		r->n_silent++;
	else
		r->n_failed++;
	note_error(l, "new connection", err);
}

static void ask_now(struct loop *l, struct slot *s)
{
	if (send(s->fd, "?", 1, MSG_NOSIGNAL) == -1) {
		end_slot(l, s, errno);
		return;
	}
	s->is_asked = true;
	s->next_us = world_now_us();
}

static void read_answer(struct loop *l, struct slot *s)
{
	struct load_result *r = &l->shared->result;
	uint64_t now = world_now_us(), took = now - s->start_us;
	char text[512];
	ssize_t len = recv(s->fd, text, sizeof(text), 0);

	if (len <= 0) {
		end_slot(l, s, len ? errno : EPIPE);
		return;
	}
	if (s->is_flow) {
		r->n_asked++;
		s->is_asked = false;
		s->answered_us = now;
		s->next_us = now + FLOW_ASK_US;
		return;
	}
	r->n_connections++;
	r->n_slow += took >= RETRANSMIT_US;
	if (took > r->worst_us)
		r->worst_us = took;
	end_slot(l, s, 0);
}

static void handle(struct loop *l, struct slot *s, short revents)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (revents & (POLLERR | POLLHUP)) {
		(void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		end_slot(l, s, err ? err : EPIPE);
	} else if (revents & POLLOUT) {
		ask_now(l, s);
	} else if (revents & POLLIN) {
		read_answer(l, s);
	}
}

/* False: all slots are in use; it is tried again when one has its answer, or its time is over. */
static bool start_connection(struct loop *l)
{
	for (size_t i = l->plan->n_flows; i < l->n; i++) {
		struct slot *s = &l->slots[i];
		int err;

		if (s->fd >= 0)
			continue;
		err = open_socket(l, s);
		if (err)
			end_slot(l, s, -err);
		return true;
	}
	return false;
}

static void check_times(struct loop *l, uint64_t now)
{
	for (size_t i = 0; i < l->n; i++) {
		struct slot *s = &l->slots[i];

		if (s->fd < 0)
			continue;
		if (!s->is_flow && now > s->start_us + CONNECTION_US)
			end_slot(l, s, ETIMEDOUT);
		else if (s->is_flow && s->is_asked && now > s->next_us + CONNECTION_US)
			end_slot(l, s, ETIMEDOUT);
		else if (s->is_flow && !s->is_asked && now >= s->next_us)
			ask_now(l, s);
	}
}

static void poll_once(struct loop *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct slot *s = &l->slots[i];

		l->polls[i] = (struct pollfd){
			.fd = s->fd,
			.events = s->is_flow || s->is_asked ? POLLIN : POLLOUT,
		};
	}
	if (poll(l->polls, l->n, 1) <= 0)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (l->polls[i].revents && l->slots[i].fd >= 0)
			handle(l, &l->slots[i], l->polls[i].revents);
}

static void open_flows(struct loop *l)
{
	for (unsigned i = 0; i < l->plan->n_flows; i++) {
		struct slot *s = &l->slots[i];
		struct pollfd p;

		s->is_flow = true;
		if (open_socket(l, s))
			continue;
		p = (struct pollfd){s->fd, POLLOUT, 0};
		if (poll(&p, 1, PROBE_PATIENCE_MS) != 1 || p.revents != POLLOUT)
			continue; /* counted as missing by load_start() */
		l->shared->result.n_flows_open++;
	}
}

/* Each open flow answers once more, or is broken; each connection has its end. */
static void finish(struct loop *l)
{
	uint64_t stop_us = world_now_us();

	for (size_t i = 0; i < l->n; i++)
		while (l->slots[i].fd >= 0 &&
		       (!l->slots[i].is_flow || l->slots[i].answered_us <= stop_us)) {
			check_times(l, world_now_us());
			poll_once(l);
		}
}

static void run(struct loop *l)
{
	uint64_t start, n_started = 0;

	open_flows(l);
	start = world_now_us();
	while (!__atomic_load_n(&l->shared->stop, __ATOMIC_ACQUIRE)) {
		uint64_t now = world_now_us();

		while (n_started < (now - start) * l->plan->per_second / 1000000 &&
		       start_connection(l))
			n_started++;
		check_times(l, now);
		poll_once(l);
	}
	finish(l);
}

static void child(const struct load_plan *plan, struct shared *shared)
{
	struct addr source = world_addr(plan->target.from, plan->target.family);
	struct loop l = {
		.plan = plan,
		.shared = shared,
		.n = plan->n_flows + N_CONNECTIONS,
	};

	/* poll() takes no more entries than there may be files */
	(void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){N_FILES, N_FILES});
	l.slots = xcalloc(l.n, sizeof(*l.slots));
	l.polls = xcalloc(l.n, sizeof(*l.polls));
	for (size_t i = 0; i < l.n; i++)
		l.slots[i].fd = -1;
	l.len = addr_to_sockaddr(&plan->target.addr, plan->target.port, &l.target);
	(void)addr_to_sockaddr(&source, 0, &l.source);
	run(&l);
	_exit(0);
}

struct load *load_start(const struct world *w, const struct load_plan *plan)
{
	struct load *l = xcalloc(1, sizeof(*l));
	uint64_t start = world_now_us();

	l->shared = mmap(NULL, sizeof(*l->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->shared == MAP_FAILED)
		fail_msg("mmap: %s", strerror(errno));
	l->pid = world_fork(w, world_place(plan->target.from));
	if (!l->pid)
		child(plan, l->shared);
	while (load_look(l).n_flows_open < plan->n_flows ||
	       (plan->per_second && !load_look(l).n_connections)) {
		if (world_now_us() - start > WORLD_PATIENCE_US)
			fail_msg("%u of %u flows are open, %lu connections made: %s",
				 load_look(l).n_flows_open, plan->n_flows,
				 (unsigned long)load_look(l).n_connections,
				 load_look(l).first_error);
		world_sleep_ms(2);
	}
	return l;
}

struct load_result load_look(const struct load *l)
{
	struct load_result r;

	/* torn reads don't matter: the counters only grow, and are read again */
	memcpy(&r, &l->shared->result, sizeof(r));
	return r;
}

void load_wait(const struct load *l, uint64_t n_connections)
{
	uint64_t goal = load_look(l).n_connections + n_connections,
		 limit_us = (uint64_t)(world_patience() * 20e6), start = world_now_us();

	while (load_look(l).n_connections < goal) {
		if (world_now_us() - start > limit_us)
			fail_msg("no more connections: %s", load_look(l).first_error);
		world_sleep_ms(2);
	}
}

struct load_result load_stop(struct load *l)
{
	struct load_result r;

	__atomic_store_n(&l->shared->stop, true, __ATOMIC_RELEASE);
	(void)waitpid(l->pid, NULL, 0);
	r = l->shared->result;
	(void)munmap(l->shared, sizeof(*l->shared));
	free(l);
	return r;
}

void load_expect_unbroken(const char *what, const struct load_result *r)
{
	print_message("%s: %lu connections, %u flows asked %lu times, worst %.1f ms, %lu "
		      "retransmitted SYNs\n",
		      what, (unsigned long)r->n_connections, r->n_flows_open,
		      (unsigned long)r->n_asked, (double)r->worst_us / 1000,
		      (unsigned long)r->n_slow);
	if (r->n_flows_broken || r->n_refused || r->n_failed || r->n_silent)
		fail_msg("%s: %u flows broken, connections: %lu refused, %lu failed, %lu "
			 "unanswered; first: %s",
			 what, r->n_flows_broken, (unsigned long)r->n_refused,
			 (unsigned long)r->n_failed, (unsigned long)r->n_silent,
			 r->first_error);
}
