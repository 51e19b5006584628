/*
 * The time that pruning takes, against the kernel's conntrack table in a network
 * namespace of our own.  The callback simulates a table that is slow to read.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "rules/conntrack/conntrack.h"

#define N_FLOWS 3

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

/* The second dump finds that nothing is left. */
static void a_dump_that_found_stale_flows_is_repeated(void **state)
{
	struct slow slow = {0};
	uint64_t n_deleted;

	(void)state;
	assert_int_equal(conntrack_prune(FAMILY_IPV4, CONNTRACK_UDP, is_unwanted, &slow,
					 &n_deleted),
			 0);
	assert_int_equal(n_deleted, N_FLOWS);
	assert_int_equal(slow.n, N_FLOWS);
}

static void a_slow_dump_is_not_repeated_in_the_same_call(void **state)
{
	struct slow slow = {.pause_us = 800000};
	uint64_t n_deleted;

	(void)state;
	assert_int_equal(conntrack_prune(FAMILY_IPV4, CONNTRACK_UDP, is_unwanted, &slow,
					 &n_deleted),
			 -EAGAIN);
	assert_int_equal(n_deleted, N_FLOWS);
	slow.pause_us = 0;
	assert_int_equal(conntrack_prune(FAMILY_IPV4, CONNTRACK_UDP, is_unwanted, &slow,
					 &n_deleted),
			 0);
	assert_int_equal(n_deleted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_dump_that_found_stale_flows_is_repeated, set_up),
		cmocka_unit_test_setup(a_slow_dump_is_not_repeated_in_the_same_call,
				       set_up),
	};

	if (unshare(CLONE_NEWNET) == -1 || conntrack_probe() != 0) {
		perror("no conntrack of our own");
		return TEST_SKIPPED;
	}
	return cmocka_run_group_tests_name("conntrack", tests, NULL, NULL);
}
