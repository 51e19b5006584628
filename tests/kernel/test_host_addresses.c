/*
 * The host's addresses against a real kernel: a network namespace of our own,
 * whose addresses are changed with ip(8).
 */
#include "tests/test.h"

#include <ev.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/host/host_addresses.h"

#define PATIENCE_SEC 10.0

static void sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* The list as text, "a b c". */
static const char *listed(const struct host_addresses *h, char *buf, size_t len)
{
	char text[ADDR_TEXT_LEN];
	const struct addr *addrs;
	size_t n, used = 0;

	buf[0] = '\0';
	addrs = host_addresses_list(h, &n);
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(buf + used, len - used, "%s%s", i ? " " : "",
					 addr_format(&addrs[i], text));
	return buf;
}

static void assert_listed(const struct host_addresses *h, const char *expected)
{
	char buf[4096];

	assert_string_equal(listed(h, buf, sizeof(buf)), expected);
}

struct waiter {
	struct ev_loop *loop;
	struct host_addresses *h;
	const char *expected;
	unsigned int n_calls;
	bool is_there;
};

static void on_changed(void *data)
{
	struct waiter *w = data;
	char buf[4096];

	w->n_calls++;
	if (strcmp(listed(w->h, buf, sizeof(buf)), w->expected) != 0)
		return;
	w->is_there = true;
	ev_break(w->loop, EVBREAK_ALL);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* Turns the loop until the list is this, or patience ends. */
static void wait_for(struct waiter *w, const char *expected)
{
	char buf[4096];
	ev_timer timer;

	w->expected = expected;
	w->is_there = false;
	ev_timer_init(&timer, on_timeout, PATIENCE_SEC, 0.);
	ev_timer_start(w->loop, &timer);
	ev_run(w->loop, 0);
	ev_timer_stop(w->loop, &timer);
	if (!w->is_there)
		fail_msg("waited for \"%s\", have \"%s\"", expected,
			 listed(w->h, buf, sizeof(buf)));
}

/* A namespace with an interface to put addresses on, and nothing read yet. */
static int set_up(void **state)
{
	struct waiter *w = xcalloc(1, sizeof(*w));

	if (unshare(CLONE_NEWNET) == -1)
		return -1;
	sh("ip link set lo up && ip link add d0 type veth peer name p0 && ip link set d0 "
	   "up");
	w->loop = ev_loop_new(0);
	w->expected = "";
	assert_int_equal(host_addresses_new(&w->h), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct waiter *w = *state;

	host_addresses_free(w->h);
	ev_loop_destroy(w->loop);
	free(w);
	return 0;
}

/* From now on changes are reported. */
static void start(struct waiter *w)
{
	host_addresses_start(w->h, w->loop, on_changed, w);
}

static void read_list(struct waiter *w, const char *expected)
{
	assert_int_equal(host_addresses_read(w->h), 0);
	assert_listed(w->h, expected);
}

static void addresses_of_both_families_are_sorted_and_unique(void **state)
{
	struct waiter *w = *state;

	sh("ip addr add 10.1.0.2/24 dev d0 && ip addr add 10.1.0.1/24 dev d0");
	sh("ip link add d1 type veth peer name p1 && ip addr add 10.1.0.1/32 dev d1");
	sh("ip -6 addr add 2001:db8::1/64 dev d0 nodad");
	read_list(w, "::1 10.1.0.1 10.1.0.2 127.0.0.1 2001:db8::1");
}

static void the_own_end_of_a_point_to_point_link_counts(void **state)
{
	struct waiter *w = *state;

	sh("ip addr add 10.9.0.1 peer 10.9.0.2 dev d0");
	sh("ip -6 addr add 2001:db8::1 peer 2001:db8::2 dev d0 nodad");
	read_list(w, "::1 10.9.0.1 127.0.0.1 2001:db8::1");
}

static void ipv6_link_local_is_left_out_and_ipv4_link_local_is_not(void **state)
{
	struct waiter *w = *state;

	sh("ip -6 addr add fe80::77/64 dev d0 nodad");
	sh("ip addr add 169.254.20.10/32 dev d0");
	read_list(w, "::1 127.0.0.1 169.254.20.10");
}

/* Duplicate address detection starts with the carrier and takes about a second. */
static void a_tentative_address_does_not_count_until_it_is_usable(void **state)
{
	struct waiter *w = *state;

	assert_int_equal(host_addresses_read(w->h), 0);
	start(w);
	sh("ip link add v0 type veth peer name v1 && ip link set v0 up");
	sh("ip -6 addr add 2001:db8::5/64 dev v0");
	read_list(w, "::1 127.0.0.1");
	sh("ip link set v1 up");
	wait_for(w, "::1 127.0.0.1 2001:db8::5");
}

static void added_and_removed_addresses_are_reported(void **state)
{
	struct waiter *w = *state;

	assert_int_equal(host_addresses_read(w->h), 0);
	/* between read and start nothing is lost */
	sh("ip addr add 10.1.0.1/24 dev d0");
	start(w);
	wait_for(w, "::1 10.1.0.1 127.0.0.1");
	sh("ip -6 addr add 2001:db8::1/64 dev d0 nodad");
	wait_for(w, "::1 10.1.0.1 127.0.0.1 2001:db8::1");
	sh("ip addr del 10.1.0.1/24 dev d0");
	wait_for(w, "::1 127.0.0.1 2001:db8::1");
}

static void a_notification_without_a_change_is_not_reported(void **state)
{
	struct waiter *w = *state;

	sh("ip addr add 10.1.0.1/24 dev d0");
	assert_int_equal(host_addresses_read(w->h), 0);
	start(w);
	sh("ip addr add 10.1.0.1/32 dev lo && ip -6 addr add fe80::88/64 dev d0 nodad");
	sh("ip addr add 10.1.0.9/24 dev d0");
	wait_for(w, "::1 10.1.0.1 10.1.0.9 127.0.0.1");
	assert_int_equal(w->n_calls, 1);
}

/* More notifications than the socket holds: the list is right all the same. */
static void an_overrun_of_notifications_loses_nothing(void **state)
{
	struct waiter *w = *state;
	size_t n;

	assert_int_equal(host_addresses_read(w->h), 0);
	start(w);
	sh("for r in 1 2; do for c in $(seq 0 7); do for d in $(seq 1 250); do"
	   " echo addr add 10.2.$c.$d/32 dev d0; done; done | ip -batch -;"
	   " for c in $(seq 0 7); do for d in $(seq 1 250); do"
	   " echo addr del 10.2.$c.$d/32 dev d0; done; done | ip -batch -; done");
	sh("for d in $(seq 1 250); do echo addr add 10.3.0.$d/32 dev d0; done | ip "
	   "-batch -");
	sh("ip addr add 10.1.0.1/32 dev d0");
	ev_run(w->loop, EVRUN_ONCE);
	(void)host_addresses_list(w->h, &n);
	assert_int_equal(n, 250 + 3);
}

/* kube-proxy's ipvs mode leaves all addresses of Services on this interface. */
static void the_addresses_of_kube_ipvs0_are_left_out(void **state)
{
	struct waiter *w = *state;

	sh("ip link add kube-ipvs0 type veth peer name p1");
	sh("ip addr add 10.96.0.1/32 dev kube-ipvs0 && ip addr add 10.1.0.1/24 dev d0");
	sh("ip link set kube-ipvs0 up && ip link set p1 up");
	sh("ip -6 addr add 2001:db8::96/128 dev kube-ipvs0 nodad");
	read_list(w, "::1 10.1.0.1 127.0.0.1");
}

static void limit_descriptors(rlim_t n)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void a_failed_read_is_repeated_without_another_notification(void **state)
{
	struct waiter *w = *state;
	struct rlimit before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(host_addresses_read(w->h), 0);
	start(w);
	sh("ip addr add 10.1.0.1/24 dev d0");
	limit_descriptors(0); /* no socket for the dump */
	ev_run(w->loop, EVRUN_ONCE);
	limit_descriptors(before.rlim_cur);
	assert_listed(w->h, "::1 127.0.0.1");
	wait_for(w, "::1 10.1.0.1 127.0.0.1");
	assert_int_equal(w->n_calls, 1);
}

#define IN_NAMESPACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_NAMESPACE(addresses_of_both_families_are_sorted_and_unique),
		IN_NAMESPACE(the_own_end_of_a_point_to_point_link_counts),
		IN_NAMESPACE(ipv6_link_local_is_left_out_and_ipv4_link_local_is_not),
		IN_NAMESPACE(a_tentative_address_does_not_count_until_it_is_usable),
		IN_NAMESPACE(added_and_removed_addresses_are_reported),
		IN_NAMESPACE(a_notification_without_a_change_is_not_reported),
		IN_NAMESPACE(an_overrun_of_notifications_loses_nothing),
		IN_NAMESPACE(the_addresses_of_kube_ipvs0_are_left_out),
		IN_NAMESPACE(a_failed_read_is_repeated_without_another_notification),
	};

	if (unshare(CLONE_NEWNET) == -1) {
		perror("no network namespace of our own");
		return TEST_SKIPPED;
	}
	return cmocka_run_group_tests_name("host addresses", tests, NULL, NULL);
}
