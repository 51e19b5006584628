/*
 * Everything at the same time: clients that echo, half-close and reset, endpoints
 * that come and go, Services that are removed, counters that are read, and the state
 * that is saved.  ThreadSanitizer runs it, too (preset tsan).
 */
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "proxy/relay/relay.h"
#include "tests/test.h"
#include "tests/unit/relay_rig.h"

#define N_WORKERS   3
#define N_ENDPOINTS 4
#define N_CLIENTS   6
#define MAX_OPEN    512
#define LOAD_US	    3000000
#define LARGE_LEN   200000

static struct relay_rig *rig;
static bool is_over; /* atomic */

static bool over(void)
{
	return __atomic_load_n(&is_over, __ATOMIC_RELAXED);
}

/* ---- an endpoint ---- */

struct echo {
	pthread_t thread;
	struct pollfd polls[MAX_OPEN]; /* the listener first */
	nfds_t n;
};

/* False: the connection is over. */
static bool echo_once(int fd)
{
	char buf[16384];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n <= 0)
		return n == -1 && errno == EAGAIN;
	return send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

static void *echo_run(void *data)
{
	struct echo *e = data;

	while (!over()) {
		if (poll(e->polls, e->n, 10) <= 0)
			continue;
		for (nfds_t i = e->n; i-- > 1;) {
			if (!e->polls[i].revents || echo_once(e->polls[i].fd))
				continue;
			(void)close(e->polls[i].fd);
			e->polls[i] = e->polls[--e->n];
		}
		if (e->polls[0].revents && e->n < MAX_OPEN) {
			int fd = accept(e->polls[0].fd, NULL, NULL);

			if (fd >= 0)
				e->polls[e->n++] =
					(struct pollfd){.fd = fd, .events = POLLIN};
		}
	}
	while (e->n > 1)
		(void)close(e->polls[--e->n].fd);
	return NULL;
}

/* ---- a client ---- */

struct client {
	pthread_t thread;
	unsigned seed;
	unsigned n_echoed, n_broken, n_wrong;
};

static unsigned random_of(struct client *c, unsigned n)
{
	return (unsigned)rand_r(&c->seed) % n;
}

/* The echo is the text from its start on; then follows the end, or a reset. */
static void take_echo(struct client *c, int fd, const char *text, size_t len)
{
	size_t got = 0;
	char buf[16384];
	ssize_t n = 1;

	while (got < len && (n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		if ((size_t)n > len - got || memcmp(buf, text + got, (size_t)n) != 0) {
			c->n_wrong++;
			return;
		}
		got += (size_t)n;
	}
	if (got == len)
		c->n_echoed++;
	else
		c->n_broken++; /* its endpoint or its Service was removed */
}

static void one_connection(struct client *c, int fd)
{
	static const size_t lens[] = {1, 100, 70000, LARGE_LEN};
	char text[LARGE_LEN];
	size_t len = lens[random_of(c, 4)];

	for (size_t i = 0; i < len; i++)
		text[i] = (char)((i * 2654435761u + c->seed) >> 11);
	if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len) {
		c->n_broken++;
		(void)close(fd);
		return;
	}
	if (random_of(c, 8) == 0) {
		rig_reset(fd);
		return;
	}
	if (random_of(c, 2))
		(void)shutdown(fd, SHUT_WR);
	take_echo(c, fd, text, len);
	(void)close(fd);
}

static void *client_run(void *data)
{
	struct client *c = data;

	while (!over()) {
		int fd = rig_connect(rig);

		if (fd >= 0)
			one_connection(c, fd);
		else
			(void)poll(NULL, 0, 1);
	}
	return NULL;
}

/* ---- a store for the state ---- */

static int store_put(const char *name, const int *fds, size_t n)
{
	return 0;
}

static int store_remove(const char *name)
{
	return 0;
}

static const struct relay_store store = {store_put, store_remove};

/* ---- the Service changes ---- */

static void churn(struct ev_loop *loop, unsigned *seed)
{
	uint64_t end_us = clock_monotonic_us() + LOAD_US;

	while (clock_monotonic_us() < end_us) {
		rig->affinity_sec = rand_r(seed) % 3 == 0 ? 60 : 0;
		rig->options.on_endpoint_removed = (uint8_t)(rand_r(seed) % 3);
		rig->times.drain_ms = 20;
		rig->times.hold_ms = rand_r(seed) % 4 == 0 ? 100 : 0;
		if (rand_r(seed) % 20 == 0)
			rig_remove(rig);
		else
			rig_put(rig, (unsigned)rand_r(seed) % (1u << N_ENDPOINTS));
		assert_true(rig_stat(rig, "sluice_userspace_connections_total") >= 0);
		(void)ev_run(loop, EVRUN_NOWAIT);
		(void)poll(NULL, 0, 5);
	}
}

static void nothing_is_lost_or_mixed_up(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	const struct relay_params params = {.n_workers = N_WORKERS,
					    .loop = loop,
					    .store = &store};
	static struct echo echos[N_ENDPOINTS];
	static struct client clients[N_CLIENTS];
	unsigned seed = 1, n_echoed = 0, n_broken = 0;

	rig = rig_new_tcp(&params, N_ENDPOINTS);
	rig_put(rig, 1);
	for (int i = 0; i < N_ENDPOINTS; i++) {
		echos[i].polls[0] =
			(struct pollfd){.fd = rig->listeners[i], .events = POLLIN};
		echos[i].n = 1;
		(void)pthread_create(&echos[i].thread, NULL, echo_run, &echos[i]);
	}
	for (int i = 0; i < N_CLIENTS; i++) {
		clients[i].seed = (unsigned)i + 1;
		(void)pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
	}
	churn(loop, &seed);
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (int i = 0; i < N_ENDPOINTS; i++) {
		(void)pthread_join(echos[i].thread, NULL);
		rig_close_endpoint(rig,
				   (size_t)i); /* with those that it never accepted */
	}
	for (int i = 0; i < N_CLIENTS; i++) {
		(void)pthread_join(clients[i].thread, NULL);
		assert_int_equal(clients[i].n_wrong, 0);
		n_echoed += clients[i].n_echoed;
		n_broken += clients[i].n_broken;
	}
	print_message("%u connections were answered, %u broken by removals\n", n_echoed,
		      n_broken);
	assert_true(n_echoed > 100);
	assert_true(rig_stat(rig, "sluice_userspace_connections_total") >= n_echoed);
	for (int i = 0; i < 2000 && rig_stat(rig, "sluice_userspace_connections"); i++)
		(void)poll(NULL, 0, 5);
	assert_true(rig_stat(rig, "sluice_userspace_connections") == 0);
	rig_free(rig);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_or_mixed_up),
	};

	return cmocka_run_group_tests(tests, rig_enter, NULL);
}
