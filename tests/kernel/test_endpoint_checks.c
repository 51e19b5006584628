/*
 * Active health checks with real endpoints, in every mode: one that refuses and one
 * that is silent are out in time, and back in time; all of them down are all used.
 */
#include "tests/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/kernel/await.h"
#include "tests/kernel/backend.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/load.h"

#define INTERVAL_MS 600
#define RISE	    2
#define FALL	    3
#define SLACK_MS    1500 /* of the command that asks, on a machine that does other things */
#define PLACE_POD2  (PLACE_POD1 + 1)
#define PLACE_POD3  (PLACE_POD1 + 2)

static const struct manifest_service web = {
	.name = "web",
	.ip = "svc10",
	.ports = "p 80>80/TCP",
	.endpoints = "pod1R pod2R pod3R",
	.annotations = "sluice.io/health-check: tcp, "
		       "sluice.io/health-check-interval: 600ms, "
		       "sluice.io/health-check-timeout: 200ms",
};

static const struct traffic_row all_rows[] = {
	{"client", "svc10:80", "pod1:80 pod2:80 pod3:80 +m", "TCP"},
	{"pod4", "svc10:80", "pod1:80 pod2:80 pod3:80", "TCP"},
};
static const struct traffic_row others_rows[] = {
	{"client", "svc10:80", "pod1:80 pod3:80 +m", "TCP"},
	{"pod4", "svc10:80", "pod1:80 pod3:80", "TCP"},
};

/* Is this in the output of `sluice get endpoints -o wide`? So many times. */
static unsigned count(struct instance *sluice, const char *what)
{
	_cleanup_(buf_fini) struct buf output = BUF_INIT;
	unsigned n = 0;

	if (instance_command(sluice, "get endpoints -A -o wide", &output) != 0)
		instance_fail(sluice, "%s", buf_string(&output));
	for (const char *at = buf_string(&output); (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* A check that a busy machine answers late has another reason for a moment. */
static void await_count(struct instance *sluice, const char *what, unsigned n)
{
	uint64_t start_us = world_now_us();

	while (count(sluice, what) != n)
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "not %u times: %s", n, what);
}

/* Until so many endpoints (in both families) are down, for at most so long. */
static void wait_down(struct instance *sluice, unsigned n, unsigned within_ms)
{
	uint64_t start_us = world_now_us(), limit_us;

	limit_us = (uint64_t)(within_ms + SLACK_MS) * 1000 * world_patience();
	while (count(sluice, " down ") != n)
		if (world_now_us() - start_us > limit_us)
			instance_fail(sluice, "not %u endpoints down within %u ms", n,
				      within_ms);
	print_message("%u down after %.2f s\n", n,
		      (double)(world_now_us() - start_us) / 1e6);
}

static void stop_pod(struct instance *sluice, enum place place)
{
	backend_stop(sluice->world->backends[place]);
	sluice->world->backends[place] = 0;
}

static void start_pod(struct instance *sluice, enum place place)
{
	sluice->world->backends[place] =
		backend_start(sluice->world, place, world_ports, world_n_ports);
}

static void an_endpoint_that_refuses_is_out_and_back_in_time(void **state)
{
	struct instance *sluice = *state;

	instance_put(sluice, &web, 1);
	traffic_check(sluice->world, all_rows, N_ELEMENTS(all_rows));
	stop_pod(sluice, PLACE_POD2);
	wait_down(sluice, 2, INTERVAL_MS * FALL);
	traffic_check(sluice->world, others_rows, N_ELEMENTS(others_rows));
	await_count(sluice, "down: Connection refused", 2);
	start_pod(sluice, PLACE_POD2);
	wait_down(sluice, 0, INTERVAL_MS * RISE);
	traffic_check(sluice->world, all_rows, N_ELEMENTS(all_rows));
}

static void an_endpoint_that_is_silent_is_out_and_back_in_time(void **state)
{
	struct instance *sluice = *state;

	instance_put(sluice, &web, 1);
	world_must(sluice->world, PLACE_POD2,
		   "nft add table inet silence; nft 'add chain inet silence in { type "
		   "filter hook input priority 0; }'; nft add rule inet silence in tcp "
		   "dport 80 drop");
	wait_down(sluice, 2, INTERVAL_MS * FALL);
	await_count(sluice, "down: no answer within 200 ms", 2);
	traffic_check(sluice->world, others_rows, N_ELEMENTS(others_rows));
	world_must(sluice->world, PLACE_POD2, "nft delete table inet silence");
	wait_down(sluice, 0, INTERVAL_MS * RISE);
	traffic_check(sluice->world, all_rows, N_ELEMENTS(all_rows));
}

/* With the reports: status, events, explain, the log. */
static void all_endpoints_down_are_all_used(void **state)
{
	static const struct {
		const char *command, *text;
	} views[] = {
		{"status", "health checks: 6 endpoints are down, such as "},
		{"status", "6 endpoints, of which 6 are down"},
		{"events", "EndpointDown"},
		{"explain test/web",
		 "down, but used because all are: Connection refused"},
	};
	struct instance *sluice = *state;

	instance_put(sluice, &web, 1);
	for (int pod = PLACE_POD1; pod <= PLACE_POD3; pod++)
		stop_pod(sluice, (enum place)pod);
	wait_down(sluice, 6, INTERVAL_MS * FALL);
	for (size_t i = 0; i < N_ELEMENTS(views); i++)
		await_text(sluice, views[i].command, 0, views[i].text);
	await_log(sluice, "health checks: test/web: endpoint 10.180.0.1:80 is down: "
			  "Connection refused (3 checks in a row)");
	/* the checks are slower than this: a balancer without endpoints would refuse */
	for (int pod = PLACE_POD1; pod <= PLACE_POD3; pod++)
		start_pod(sluice, (enum place)pod);
	traffic_check(sluice->world, all_rows, N_ELEMENTS(all_rows));
	wait_down(sluice, 0, INTERVAL_MS * RISE);
}

static void http_status_decides(void **state)
{
	struct manifest_service service = web;
	struct instance *sluice = *state;

	/* the backends do not speak HTTP */
	service.annotations = "sluice.io/health-check: 'http:/live', "
			      "sluice.io/health-check-interval: 600ms";
	instance_put(sluice, &service, 1);
	wait_down(sluice, 6, INTERVAL_MS * FALL);
	await_count(sluice, "the answer is not HTTP", 6);
	/* another question: nothing is known */
	instance_put(sluice, &web, 1);
	assert_int_equal(count(sluice, " down "), 0);
}

/*
 * It refuses first and ends afterwards: a request that it has received cannot be
 * sent to another endpoint.
 */
static void requests_survive_the_death_of_an_endpoint(void **state)
{
	struct instance *sluice = *state;
	struct load_plan plan = {.per_second = (unsigned)(1000 / world_patience())};
	struct load_result r;
	struct load *load;

	if (!instance_is_userspace())
		skip(); /* packets of other planes go to it until a check has failed */
	instance_put(sluice, &web, 1);
	plan.target = target_named("pod4", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	load = load_start(sluice->world, &plan);
	load_wait(load, 3000);
	world_must(sluice->world, PLACE_POD2,
		   "nft add table inet dying; nft 'add chain inet dying in { type filter "
		   "hook input priority 0; }'; nft add rule inet dying in tcp dport 80 "
		   "tcp flags syn reject with tcp reset");
	load_wait(load, 500);
	stop_pod(sluice, PLACE_POD2);
	load_wait(load, 3500);
	world_must(sluice->world, PLACE_POD2, "nft delete table inet dying");
	start_pod(sluice, PLACE_POD2);
	load_wait(load, 3000);
	r = load_stop(load);
	print_message("%lu connections\n", (unsigned long)r.n_connections);
	if (r.n_refused || r.n_silent || r.n_failed)
		instance_fail(sluice, "%lu refused, %lu silent, %lu failed: %s",
			      (unsigned long)r.n_refused, (unsigned long)r.n_silent,
			      (unsigned long)r.n_failed, r.first_error);
	assert_true(r.n_connections >= 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_endpoint_that_refuses_is_out_and_back_in_time),
		cmocka_unit_test(an_endpoint_that_is_silent_is_out_and_back_in_time),
		cmocka_unit_test(all_endpoints_down_are_all_used),
		cmocka_unit_test(http_status_decides),
		cmocka_unit_test(requests_survive_the_death_of_an_endpoint),
	};

	return cmocka_run_group_tests_name("endpoint_checks", tests, instance_setup,
					   instance_teardown);
}
