/*
 * Very many clients that are bound by session affinity: nothing that the daemon does
 * may depend on their number.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_layout.h"
#include "tests/kernel/await.h"
#include "tests/kernel/affinity_fill.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/nft_sample.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define N_CLIENTS    100000
#define TURN_US	     20000
#define HEALTHZ_US   100000
#define HEALTHZ_PORT 10256
#define N_ROUNDS_MAX 5
#define N_PROBES     24

/* $PATIENCE: how many times slower than usual this machine may be. */
static uint64_t patient(uint64_t us)
{
	const char *text = getenv("PATIENCE");

	return us * (text ? strtoul(text, NULL, 10) : 1);
}

/* ---- the sink ---- */

static const struct sample with_two = {
	.name = "web",
	.frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
	.endpoints = "10.244.0.1:80 10.244.0.2:80",
	.affinity_sec = 10800,
};
static const struct sample with_one = {
	.name = "web",
	.frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
	.endpoints = "10.244.0.1:80",
	.affinity_sec = 10800,
};
static const struct sample with_another_timeout = {
	.name = "web",
	.frontends = {{"10.96.0.1:80", SAMPLE_CLUSTER_IP, false}},
	.endpoints = "10.244.0.1:80 10.244.0.2:80",
	.affinity_sec = 3600,
};

static uint64_t time_delta(struct sample_world *w, const struct sample *sample)
{
	struct service *s = sample_service(sample);
	uint64_t start_us = clock_monotonic_us();

	assert_int_equal(sample_delta(w, &s, 1), 0);
	return clock_monotonic_us() - start_us;
}

static uint64_t time_full(struct sample_world *w)
{
	uint64_t start_us = clock_monotonic_us();

	assert_int_equal(sample_full(w), 0);
	return clock_monotonic_us() - start_us;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The quickest round shows our time, the others a busy machine. */
static void no_turn_depends_on_the_number_of_bound_clients(void **state)
{
	struct sample_world *w = *state;
	uint64_t longest_us = UINT64_MAX;

	sample_put(w, &with_two, 1);
	assert_int_equal(sample_full(w), 0);
	assert_int_equal(affinity_fill(N_CLIENTS), 0);
	for (int i = 0; i < N_ROUNDS_MAX && longest_us > patient(TURN_US); i++) {
		uint64_t removed_us = time_delta(w, &with_one);
		uint64_t added_us = time_delta(w, &with_two);
		uint64_t timeout_us = time_delta(w, &with_another_timeout);
		uint64_t full_us = time_full(w), restart_us;

		sample_restart(w);
		restart_us = time_full(w);
		print_message("%d bound clients: an endpoint removed in %.1f ms, added "
			      "in %.1f ms, another timeout in %.1f ms; everything "
			      "compared in %.1f ms, after a restart in %.1f ms\n",
			      N_CLIENTS, (double)removed_us / 1000,
			      (double)added_us / 1000, (double)timeout_us / 1000,
			      (double)full_us / 1000, (double)restart_us / 1000);
		longest_us = max_of(max_of(removed_us, max_of(added_us, timeout_us)),
				    max_of(full_us, restart_us));
	}
	assert_in_range(longest_us, 0, patient(TURN_US));
}

/* ---- the program ---- */

static int ask_healthz(const struct world *w)
{
	struct timeval patience = {.tv_sec = 30};
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(HEALTHZ_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
	_cleanup_(closep) int fd = -1;
	char text[64] = "";
	int status = 0;

	world_enter(w, PLACE_NODE);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world_leave(w);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    write(fd, request, sizeof(request) - 1) == -1 ||
	    read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return sscanf(text, "HTTP/1.%*d %d", &status) == 1 ? status : 0;
}

static const struct manifest_service sticky = {
	.name = "sticky",
	.ip = "svc90",
	.ports = "p 80>80/TCP",
	.endpoints = "pod1R pod2R pod3R pod4R",
	.affinity_sec = 10800,
};

/* Until the kernel has the change, /healthz is asked again and again: the longest time. */
static uint64_t longest_healthz_during(struct instance *in,
				       const struct manifest_service *change)
{
	_cleanup_(buf_fini) struct buf yaml = BUF_INIT;
	uint64_t longest_us = 0, end_us;

	manifest_add_service(&yaml, change);
	instance_write(in, buf_string(&yaml));
	for (end_us = world_now_us() + 500000; world_now_us() < end_us;) {
		uint64_t start_us = world_now_us();

		assert_int_equal(ask_healthz(in->world), 200);
		longest_us = max_of(longest_us, world_now_us() - start_us);
		world_sleep_ms(1);
	}
	instance_wait_written(in);
	return longest_us;
}

/* How many backends serve one client, one connection after the other. */
static unsigned n_backends(const struct world *w)
{
	struct target t = target_named("client", "svc90:80", IPPROTO_TCP, FAMILY_IPV4);
	struct addr seen[N_PROBES];
	unsigned n = 0;

	for (int i = 0; i < N_PROBES; i++) {
		struct answer a = probe(w, &t, PROBE_PATIENCE_MS);
		char text[ANSWER_TEXT_LEN];
		unsigned at = 0;

		if (a.outcome != PROBE_ANSWERED)
			fail_msg("%s", answer_format(&a, text));
		while (at < n && !addr_equal(&seen[at], &a.backend))
			at++;
		if (at == n)
			seen[n++] = a.backend;
	}
	return n;
}

static void fill_map(const struct world *w, uint32_t n)
{
	int err;

	world_enter(w, PLACE_NODE);
	err = affinity_fill(n);
	world_leave(w);
	assert_int_equal(err, 0);
}

static void a_million_bound_clients_do_not_delay_healthz(void **state)
{
	struct manifest_service changed = sticky;
	struct instance *in = *state;
	uint64_t longest_us = UINT64_MAX;

	instance_put(in, &sticky, 1);
	(void)instance_end(in, SIGTERM);
	fill_map(in->world, NFT_LEARNED_SIZE - 1);
	instance_start(in, NULL);
	for (int i = 0; i < N_ROUNDS_MAX && longest_us > patient(HEALTHZ_US); i++) {
		changed.endpoints = i % 2 ? sticky.endpoints : "pod1R pod2R pod3R";
		longest_us = longest_healthz_during(in, &changed);
		print_message("%u bound clients: /healthz answers within %.1f ms\n",
			      NFT_LEARNED_SIZE - 1, (double)longest_us / 1000);
	}
	assert_in_range(longest_us, 0, patient(HEALTHZ_US));
	assert_false(has_logged(in, "clients are bound by affinity"));
	/* there is room for one more */
	instance_put(in, &sticky, 1);
	assert_int_equal(n_backends(in->world), 1);
}

/* Of four backends, each of 24 connections gets the same by chance once in 10^13 rounds. */
static void a_full_map_binds_no_further_clients_and_serves_them(void **state)
{
	struct instance *in = *state;

	instance_put(in, NULL, 0);
	instance_put(in, &sticky, 1);
	world_must(in->world, PLACE_NODE,
		   "nft flush map ip sluice affinity-clients; conntrack -F 2>/dev/null");
	(void)instance_end(in, SIGTERM);
	fill_map(in->world, NFT_LEARNED_SIZE);
	assert_in_range(n_backends(in->world), 2, 4);
	instance_start(in, NULL);
	await_log(in, "clients are bound by affinity, the most that fit");
	assert_in_range(n_backends(in->world), 2, 4);
	(void)instance_end(in, SIGTERM);
	world_must(in->world, PLACE_NODE, "nft flush map ip sluice affinity-clients");
	assert_int_equal(n_backends(in->world), 1);
	instance_start(in, NULL);
}

int main(void)
{
	const struct CMUnitTest of_sink[] = {
		cmocka_unit_test(no_turn_depends_on_the_number_of_bound_clients),
	};
	const struct CMUnitTest of_program[] = {
		cmocka_unit_test(a_million_bound_clients_do_not_delay_healthz),
		cmocka_unit_test(a_full_map_binds_no_further_clients_and_serves_them),
	};
	int n_failed;

	/* it is our time that is measured, not the queue for a busy processor */
	(void)setpriority(PRIO_PROCESS, 0, -15);
	n_failed = cmocka_run_group_tests(of_program, instance_setup, instance_teardown);
	return n_failed + cmocka_run_group_tests(of_sink, sample_setup, sample_teardown);
}
