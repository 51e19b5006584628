/*
 * The epoll set of connections: what is reported, and what is not any more.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/relay/relay_calls.h"
#include "proxy/relay/relay_poll.h"
#include "tests/test.h"

struct watched {
	struct relay_poll *set;
	struct watched *victim; /* forgotten when this one is reported */
	int fd, peer;
	uint32_t slot;
	int n_reports;
};

static void on_event(void *owner, uint32_t events)
{
	struct watched *w = owner;

	assert_true(events & EPOLLIN);
	w->n_reports++;
	if (w->victim)
		relay_poll_forget(w->set, w->victim->slot);
}

static void watch(struct relay_poll *set, struct watched *w)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*w = (struct watched){.set = set, .fd = fds[0], .peer = fds[1]};
	assert_int_equal(relay_poll_add(set, &relay_kernel, w->fd, EPOLLIN, w, &w->slot),
			 0);
	assert_true(w->slot > 0);
}

static void make_ready(const struct watched *w)
{
	assert_int_equal(write(w->peer, "x", 1), 1);
}

static void close_watched(const struct watched *w)
{
	(void)close(w->fd);
	(void)close(w->peer);
}

static void an_event_is_reported_once_and_again_on_request(void **state)
{
	struct relay_poll set;
	struct watched w;

	assert_int_equal(relay_poll_open(&set), 0);
	watch(&set, &w);
	make_ready(&w);
	relay_poll_dispatch(&set, on_event);
	relay_poll_dispatch(&set, on_event);
	assert_int_equal(w.n_reports, 1);
	assert_int_equal(relay_poll_again(&set, &relay_kernel, w.fd, EPOLLIN, w.slot), 0);
	relay_poll_dispatch(&set, on_event);
	assert_int_equal(w.n_reports, 2);
	close_watched(&w);
	relay_poll_close(&set);
}

static void a_closed_socket_that_another_process_has_is_not_reported(void **state)
{
	struct relay_poll set;
	struct watched old, new;
	int copy;

	assert_int_equal(relay_poll_open(&set), 0);
	watch(&set, &old);
	copy = fcntl(old.fd, F_DUPFD_CLOEXEC, 0);
	relay_poll_forget(&set, old.slot);
	(void)close(old.fd);
	watch(&set, &new);
	assert_int_equal(new.slot, old.slot);
	make_ready(&old);
	relay_poll_dispatch(&set, on_event);
	assert_int_equal(old.n_reports + new.n_reports, 0);
	make_ready(&new);
	relay_poll_dispatch(&set, on_event);
	assert_int_equal(new.n_reports, 1);
	(void)close(copy);
	(void)close(old.peer);
	close_watched(&new);
	relay_poll_close(&set);
}

static void a_socket_that_is_forgotten_in_a_batch_is_not_reported(void **state)
{
	struct relay_poll set;
	struct watched a, b;

	assert_int_equal(relay_poll_open(&set), 0);
	watch(&set, &a);
	watch(&set, &b);
	a.victim = &b;
	b.victim = &a;
	make_ready(&a);
	make_ready(&b);
	relay_poll_dispatch(&set, on_event);
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
			watch(&set, &w[i]);
			assert_true(w[i].slot <= N_ELEMENTS(w));
			make_ready(&w[i]);
		}
		relay_poll_dispatch(&set, on_event);
		relay_poll_dispatch(&set, on_event);
		for (uint32_t i = 0; i < N_ELEMENTS(w); i++) {
			assert_int_equal(w[i].n_reports, 1);
			relay_poll_forget(&set, w[i].slot);
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
		cmocka_unit_test(a_socket_that_is_forgotten_in_a_batch_is_not_reported),
		cmocka_unit_test(slots_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
