/*
 * The epoll set of a worker: which events are reported, and which are not any more.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/relay/relay_calls.h"
#include "proxy/relay/relay_poll.h"
#include "tests/test.h"

#define EDGES (EPOLLIN | EPOLLET)

struct watched {
	struct relay_watch io;
	struct relay_poll *set;
	struct watched *victim; /* forgotten when this one is reported */
	int peer;
	int n_reports;
};

static void on_event(struct relay_watch *io, uint32_t events)
{
	struct watched *w = container_of(io, struct watched, io);

	assert_true(events & EPOLLIN);
	w->n_reports++;
	if (w->victim)
		relay_poll_forget(w->set, &w->victim->io);
}

static void watch(struct relay_poll *set, struct watched *w, uint32_t events)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*w = (struct watched){
		.io = {.fn = on_event, .fd = fds[0]},
		.set = set,
		.peer = fds[1],
	};
	assert_int_equal(relay_poll_add(set, &relay_kernel, &w->io, events), 0);
	assert_true(w->io.slot > 0);
}

static void make_ready(const struct watched *w)
{
	assert_int_equal(write(w->peer, "x", 1), 1);
}

static void close_watched(const struct watched *w)
{
	(void)close(w->io.fd);
	(void)close(w->peer);
}

static void an_event_is_reported_once_and_again_on_request(void **state)
{
	struct relay_poll set;
	struct watched w;

	assert_int_equal(relay_poll_open(&set), 0);
	watch(&set, &w, EDGES);
	make_ready(&w);
	assert_int_equal(relay_poll_dispatch(&set, 0), 0);
	assert_int_equal(relay_poll_dispatch(&set, 0), 0);
	assert_int_equal(w.n_reports, 1);
	assert_int_equal(relay_poll_again(&set, &relay_kernel, &w.io, EDGES), 0);
	assert_int_equal(relay_poll_dispatch(&set, 0), 0);
	assert_int_equal(w.n_reports, 2);
	close_watched(&w);
	relay_poll_close(&set);
}

static void a_closed_socket_that_another_process_has_is_not_reported(void **state)
{
	struct relay_poll set;
	struct watched old, new;
	uint32_t slot;
	int copy;

	assert_int_equal(relay_poll_open(&set), 0);
	watch(&set, &old, EDGES);
	copy = fcntl(old.io.fd, F_DUPFD_CLOEXEC, 0);
	slot = old.io.slot;
	relay_poll_forget(&set, &old.io);
	(void)close(old.io.fd);
	watch(&set, &new, EDGES);
	assert_int_equal(new.io.slot, slot);
	make_ready(&old);
	assert_int_equal(relay_poll_dispatch(&set, 0), 0);
	assert_int_equal(old.n_reports + new.n_reports, 0);
	make_ready(&new);
	assert_int_equal(relay_poll_dispatch(&set, 0), 0);
	assert_int_equal(new.n_reports, 1);
	(void)close(copy);
	(void)close(old.peer);
	close_watched(&new);
	relay_poll_close(&set);
}

/* As a listener is, which the next process has, too. */
static void a_removed_socket_that_stays_open_is_not_reported(void **state)
{
	struct relay_poll set;
	struct watched w;
	struct epoll_event event;

	assert_int_equal(relay_poll_open(&set), 0);
	watch(&set, &w, EPOLLIN);
	make_ready(&w);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(relay_poll_dispatch(&set, 0), 0);
		assert_int_equal(w.n_reports, i);
	}
	relay_poll_remove(&set, &relay_kernel, &w.io);
	assert_int_equal(w.io.slot, 0);
	assert_int_equal(epoll_wait(set.fd, &event, 1, 0), 0);
	close_watched(&w);
	relay_poll_close(&set);
}

static void a_socket_that_is_forgotten_in_a_batch_is_not_reported(void **state)
{
	struct relay_poll set;
	struct watched a, b;

	assert_int_equal(relay_poll_open(&set), 0);
	watch(&set, &a, EDGES);
	watch(&set, &b, EDGES);
	a.victim = &b;
	b.victim = &a;
	make_ready(&a);
	make_ready(&b);
	assert_int_equal(relay_poll_dispatch(&set, 0), 0);
	assert_int_equal(a.n_reports + b.n_reports, 1);
	close_watched(&a);
	close_watched(&b);
	relay_poll_close(&set);
}

static void slots_are_used_again(void **state)
{
	struct relay_poll set;
	struct watched w[100];

	assert_int_equal(relay_poll_open(&set), 0);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < N_ELEMENTS(w); i++) {
			watch(&set, &w[i], EDGES);
			assert_true(w[i].io.slot <= N_ELEMENTS(w));
			make_ready(&w[i]);
		}
		assert_int_equal(relay_poll_dispatch(&set, 0), 0);
		assert_int_equal(relay_poll_dispatch(&set, 0), 0);
		for (uint32_t i = 0; i < N_ELEMENTS(w); i++) {
			assert_int_equal(w[i].n_reports, 1);
			relay_poll_forget(&set, &w[i].io);
			close_watched(&w[i]);
		}
	}
	relay_poll_close(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_reported_once_and_again_on_request),
		cmocka_unit_test(
			a_closed_socket_that_another_process_has_is_not_reported),
		cmocka_unit_test(a_removed_socket_that_stays_open_is_not_reported),
		cmocka_unit_test(a_socket_that_is_forgotten_in_a_batch_is_not_reported),
		cmocka_unit_test(slots_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
