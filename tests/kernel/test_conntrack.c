/*
 * The steps of pruning, against the kernel's conntrack table in a network namespace
 * of our own.  The callback simulates a table that is slow to read.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "rules/conntrack/conntrack.h"

#define N_FLOWS	    3
#define N_MANY	    2000 /* some 400 KB of a dump */
#define PATIENCE_MS 60000

static void make_flow(uint16_t client_port)
{
	struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
	struct nf_conntrack *ct = nfct_new();

	assert_non_null(handle);
	nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, IPPROTO_UDP);
	nfct_set_attr_u32(ct, ATTR_IPV4_SRC, htonl(0xcb007102));
	nfct_set_attr_u32(ct, ATTR_IPV4_DST, htonl(0x0a60000a));
	nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(client_port));
	nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(53));
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 600);
	assert_int_equal(nfct_query(handle, NFCT_Q_CREATE, ct), 0);
	nfct_destroy(ct);
	(void)nfct_close(handle);
}

static int set_up(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) == -1)
		return -1;
	for (uint16_t i = 0; i < N_FLOWS; i++)
		make_flow((uint16_t)(4000 + i));
	return 0;
}

struct slow {
	unsigned int n, pause_us;
};

static bool is_unwanted(void *data, const struct flow *flow)
{
	struct slow *slow = data;

	slow->n++;
	(void)usleep(slow->pause_us);
	return flow->proto == IPPROTO_UDP;
}

static bool is_wanted(void *data, const struct flow *flow)
{
	return !is_unwanted(data, flow);
}

/* Steps until the end, each when the descriptor is readable; returns their number. */
static unsigned prune(struct conntrack *c,
		      bool (*fn)(void *data, const struct flow *flow), struct slow *slow)
{
	unsigned n_steps = 0;
	int err;

	assert_int_equal(conntrack_prune(c,
					 &(struct conntrack_pass){
						 .family = FAMILY_IPV4,
						 .scope = CONNTRACK_UDP,
						 .is_unwanted = fn,
						 .data = slow,
					 }),
			 0);
	do {
		struct pollfd fd = {.fd = conntrack_fd(c), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
		err = conntrack_step(c);
		n_steps++;
	} while (err == -EINPROGRESS);
	assert_int_equal(err, 0);
	return n_steps;
}

/* The second dump finds that nothing is left. */
static void a_dump_that_found_stale_flows_is_repeated(void **state)
{
	_cleanup_(conntrack_closep) struct conntrack *c = NULL;
	struct slow slow = {0};

	(void)state;
	assert_int_equal(conntrack_open(&c), 0);
	(void)prune(c, is_unwanted, &slow);
	assert_int_equal(conntrack_n_deleted(c), N_FLOWS);
	assert_int_equal(slow.n, N_FLOWS);
}

static void a_step_ends_when_its_time_is_over(void **state)
{
	_cleanup_(conntrack_closep) struct conntrack *c = NULL;
	struct slow slow = {.pause_us = 1000};
	unsigned n_steps;

	(void)state;
	for (uint16_t i = 0; i < N_MANY; i++)
		make_flow((uint16_t)(5000 + i));
	assert_int_equal(conntrack_open(&c), 0);
	n_steps = prune(c, is_wanted, &slow);
	assert_int_equal(conntrack_n_deleted(c), 0);
	/* a datagram of 32 KiB, which is the least that a step reads, holds some 200 */
	assert_true(slow.n / n_steps < 400);
	assert_true(n_steps > 4);
}

/* The thread of the first one may be in the middle of the table. */
static void closing_ends_a_pass(void **state)
{
	_cleanup_(conntrack_closep) struct conntrack *c = NULL;
	struct slow slow = {0};

	(void)state;
	for (uint16_t i = 0; i < N_MANY; i++)
		make_flow((uint16_t)(5000 + i));
	assert_int_equal(conntrack_open(&c), 0);
	assert_int_equal(conntrack_prune(c,
					 &(struct conntrack_pass){
						 .family = FAMILY_IPV4,
						 .scope = CONNTRACK_UDP,
						 .is_unwanted = is_unwanted,
						 .data = &slow,
					 }),
			 0);
	conntrack_close(take_ptr(c));
	assert_int_equal(conntrack_open(&c), 0);
	(void)prune(c, is_wanted, &slow);
	assert_int_equal(slow.n, N_FLOWS + N_MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_dump_that_found_stale_flows_is_repeated, set_up),
		cmocka_unit_test_setup(a_step_ends_when_its_time_is_over, set_up),
		cmocka_unit_test_setup(closing_ends_a_pass, set_up),
	};
	struct conntrack *c;

	if (unshare(CLONE_NEWNET) == -1 || conntrack_open(&c) != 0) {
		perror("no conntrack of our own");
		return TEST_SKIPPED;
	}
	conntrack_close(c);
	return cmocka_run_group_tests_name("conntrack", tests, NULL, NULL);
}
