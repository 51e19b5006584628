/*
 * A client whose Service has many endpoints, none of which accepts: each is tried once,
 * and the worker's other clients have their turn between them.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "proxy/relay/relay_conn.h"
#include "tests/test.h"
#include "tests/unit/relay_made.h"

#define N_ENDPOINTS 150
#define MAX_IN_TURN 64	   /* more would delay others */
#define FIRST_FD    100000 /* no descriptor of this process */

static struct relay_worker w;
static struct relay_limit limit;
static struct relay_shared shared = {.limit = &limit};
static unsigned n_tries[N_ENDPOINTS], n_tries_in_turn;

static int open_socket(int domain, int type, int protocol)
{
	return FIRST_FD;
}

static int refuse(int fd, const struct sockaddr *sa, socklen_t len)
{
	n_tries[ntohs(((const struct sockaddr_in *)sa)->sin_port) - 1]++;
	n_tries_in_turn++;
	errno = ECONNREFUSED;
	return -1;
}

static int close_socket(int fd)
{
	return 0;
}

static const struct relay_calls calls = {
	.socket = open_socket,
	.connect = refuse,
	.close = close_socket,
};

static void endpoints_that_refuse_immediately_are_tried_in_several_turns(void **state)
{
	struct relay_service *service = relay_made_service(N_ENDPOINTS, 1);
	const struct sockaddr_in peer = {.sin_family = AF_INET};
	struct relay_conn *c;
	int n_turns = 1;

	w.shared = &shared;
	w.random = 1;
	w.mover.calls = &calls;
	relay_limit_init(&limit, 1);
	assert_true(relay_limit_take_conn(&limit));
	relay_conn_accept(&w, FIRST_FD + 1, (const struct sockaddr *)&peer, service,
			  service_frontends(service->service));
	for (; (c = LIST_FIRST(&w.connecting)); n_turns++) {
		assert_in_range(n_tries_in_turn, 1, MAX_IN_TURN);
		n_tries_in_turn = 0;
		assert_true(c->deadline_ms <= relay_now_ms()); /* the next tick */
		relay_connect_expire(c);
	}
	assert_int_equal(n_turns, (N_ENDPOINTS + MAX_IN_TURN - 1) / MAX_IN_TURN);
	for (size_t i = 0; i < N_ENDPOINTS; i++)
		assert_int_equal(n_tries[i], 1);
	c = LIST_FIRST(&w.closed);
	assert_non_null(c);
	LIST_REMOVE(c, in_state);
	relay_conn_free(c);
	relay_service_unref(service);
	assert_int_equal(limit.n_conns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			endpoints_that_refuse_immediately_are_tried_in_several_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
