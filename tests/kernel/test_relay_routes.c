/*
 * The local routes of userspace mode: ours come and go with the Services and with
 * the daemon, and those of other programs are never touched.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/kernel/await.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define OURS                                                                             \
	"ip -4 route show table local proto 183; ip -6 route show table local proto 183"

static const struct manifest_service services[] = {
	{.name = "web",
	 .type = "LoadBalancer",
	 .ip = "svc40",
	 .ports = "p 80>80",
	 .vips = "vip4",
	 .external = "ext11",
	 .endpoints = "pod1R"},
	{.name = "second", .ip = "svc41", .ports = "p 80>80", .endpoints = "pod2R"},
};

static void put_both(struct instance *sluice)
{
	instance_put(sluice, services, N_ELEMENTS(services));
}

static void await_n_routes(struct instance *sluice, unsigned n)
{
	await_shell(sluice, "test $( (" OURS ") | grep -c local) = %u", n);
}

static bool is_served(struct instance *sluice, const char *to, int timeout_ms)
{
	struct target tcp = target_named("client", to, IPPROTO_TCP, FAMILY_IPV4),
		      udp = target_named("client", to, IPPROTO_UDP, FAMILY_IPV4);

	return probe(sluice->world, &tcp, timeout_ms).outcome == PROBE_ANSWERED &&
	       probe(sluice->world, &udp, timeout_ms).outcome == PROBE_ANSWERED;
}

static void assert_served(struct instance *sluice, const char *to)
{
	assert_true(is_served(sluice, to, PROBE_PATIENCE_MS));
}

static void await_served(struct instance *sluice, const char *to)
{
	uint64_t start_us = world_now_us();

	while (!is_served(sluice, to, 200)) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(sluice, "%s is not served", to);
		world_sleep_ms(10);
	}
}

/* Two service networks, and two addresses in both families. */
static void routes_follow_the_services(void **state)
{
	struct instance *sluice = *state;

	put_both(sluice);
	await_n_routes(sluice, 6);
	instance_put(sluice, &services[1], 1);
	await_n_routes(sluice, 2);
	put_both(sluice);
	await_n_routes(sluice, 6);
	assert_served(sluice, "ext11:80");
}

static void a_removed_route_is_added_again(void **state)
{
	struct instance *sluice = *state;

	put_both(sluice);
	world_must(sluice->world, PLACE_NODE,
		   "ip route del local 1.2.3.4 dev lo table local proto 183");
	await_served(sluice, "vip4:80");
	await_n_routes(sluice, 6);
	await_log(sluice, "userspace: another process changed local routes; checked");
}

static void local_routes_and_addresses_of_others_stay(void **state)
{
	struct instance *sluice = *state;
	const struct world *w = sluice->world;

	(void)instance_end(sluice, SIGTERM);
	world_must(w, PLACE_NODE,
		   "ip addr add 192.168.99.11/32 dev spare0; "
		   "ip route add local 1.2.3.4 dev lo table local; "
		   "ip route show table local | sort >%s/before",
		   w->dir);
	instance_start(sluice, NULL);
	put_both(sluice);
	assert_served(sluice, "vip4:80");
	assert_served(sluice, "ext11:80");
	/* the address goes, and its frontend is served by our route */
	world_must(w, PLACE_NODE, "ip addr del 192.168.99.11/32 dev spare0");
	assert_served(sluice, "ext11:80");
	world_must(w, PLACE_NODE, "ip addr add 192.168.99.11/32 dev spare0");
	assert_int_equal(instance_end(sluice, SIGTERM), 0);
	world_must(w, PLACE_NODE, "ip route show table local | sort | cmp - %s/before",
		   w->dir);
	world_must(w, PLACE_NODE,
		   "ip addr del 192.168.99.11/32 dev spare0; "
		   "ip route del local 1.2.3.4 dev lo table local");
	instance_start(sluice, NULL);
}

static void routes_of_a_killed_daemon_are_adopted_and_cleaned_up(void **state)
{
	struct instance *sluice = *state;

	put_both(sluice);
	(void)instance_end(sluice, SIGKILL);
	await_n_routes(sluice, 6);
	instance_write(sluice, "");
	instance_launch(sluice, NULL);
	instance_wait_written(sluice);
	await_n_routes(sluice, 2);
	put_both(sluice);
	(void)instance_end(sluice, SIGKILL);
	world_must(sluice->world, PLACE_NODE,
		   "%s cleanup --bpffs-root %s | grep -qx 'removed: 6 local routes'",
		   instance_program(), sluice->bpffs);
	world_must(sluice->world, PLACE_NODE,
		   "%s cleanup --bpffs-root %s | grep -qx 'nothing of sluice is there'",
		   instance_program(), sluice->bpffs);
	world_must(sluice->world, PLACE_NODE, "test -z \"$(" OURS ")\"");
	instance_start(sluice, NULL);
}

/* ---- a program that listens at all addresses ---- */

/* In a process of its own; 0 when it cannot bind. */
static pid_t start_program(struct instance *sluice, in_addr_t address, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(address)};
	int ends[2];
	char is_bound = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = world_fork(sluice->world, PLACE_NODE);
	if (!pid) {
		int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		is_bound = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
			   listen(fd, 1) == 0;
		if (write(ends[1], &is_bound, 1) == 1 && is_bound)
			(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], &is_bound, 1), 1);
	(void)close(ends[0]);
	(void)close(ends[1]);
	if (is_bound)
		return pid;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return 0;
}

static void end_program(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_service_is_refused_until_a_program_at_all_addresses_ends(void **state)
{
	struct instance *sluice = *state;
	pid_t program;

	instance_put(sluice, &services[1], 0);
	program = start_program(sluice, INADDR_ANY, 80);
	assert_true(program > 0);
	instance_put(sluice, services, 1);
	await_log(sluice, ":80: another process listens on this port, at this address or "
			  "at all addresses");
	end_program(program);
	await_served(sluice, "ext11:80");
}

/* Another port, and an address of its own, are free. */
static void
a_program_cannot_listen_at_all_addresses_on_the_port_of_a_service(void **state)
{
	struct instance *sluice = *state;
	pid_t program;

	instance_put(sluice, services, 1);
	assert_int_equal(start_program(sluice, INADDR_ANY, 80), 0);
	program = start_program(sluice, INADDR_ANY, 81);
	assert_true(program > 0);
	end_program(program);
	program = start_program(sluice, INADDR_LOOPBACK, 80);
	assert_true(program > 0);
	assert_served(sluice, "ext11:80");
	end_program(program);
}

/* Its number is that of the thread. */
static void a_daemon_whose_worker_is_killed_ends_and_the_next_one_serves(void **state)
{
	struct instance *sluice = *state;
	int status;

	put_both(sluice);
	world_must(sluice->world, PLACE_NODE, "ls /proc/%d/task | tail -n 1 >%s/worker",
		   (int)sluice->pid, sluice->world->dir);
	world_must(sluice->world, PLACE_NODE,
		   "worker=$(cat %s/worker); test $worker != %d && kill -SEGV $worker",
		   sluice->world->dir, (int)sluice->pid);
	assert_int_equal(waitpid(sluice->pid, &status, 0), sluice->pid);
	sluice->pid = 0;
	assert_int_not_equal(status, 0);
	await_n_routes(sluice, 6);
	instance_start(sluice, NULL);
	put_both(sluice);
	assert_served(sluice, "vip4:80");
}

/* Not even the loopback interface is up. */
static void cleanup_in_a_namespace_without_routes_succeeds(void **state)
{
	struct instance *sluice = *state;

	world_must(sluice->world, PLACE_NODE,
		   "unshare -n %s cleanup --bpffs-root %s/none", instance_program(),
		   sluice->world->dir);
}

static void sigterm_leaves_no_route(void **state)
{
	struct instance *sluice = *state;

	put_both(sluice);
	assert_int_equal(instance_end(sluice, SIGTERM), 0);
	world_must(sluice->world, PLACE_NODE, "test -z \"$(" OURS ")\"");
	instance_start(sluice, NULL);
}

static void diff_reports_nothing_when_all_is_there(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct instance *sluice = *state;

	put_both(sluice);
	if (instance_command(sluice, "diff", &out))
		instance_fail(sluice, "differences: %s", buf_string(&out));
}

static void once_is_an_error(void **state)
{
	struct instance *sluice = *state;

	(void)instance_end(sluice, SIGTERM);
	world_must(
		sluice->world, PLACE_NODE,
		"%s run --once --proxy-mode userspace --manifests %s --hostname-override "
		"%s >%s/once 2>&1; test $? = 1 && grep -q 'once cannot use it' %s/once",
		instance_program(), sluice->manifests, WORLD_NODE_NAME,
		sluice->world->dir, sluice->world->dir);
	instance_start(sluice, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_follow_the_services),
		cmocka_unit_test(a_removed_route_is_added_again),
		cmocka_unit_test(local_routes_and_addresses_of_others_stay),
		cmocka_unit_test(routes_of_a_killed_daemon_are_adopted_and_cleaned_up),
		cmocka_unit_test(
			a_daemon_whose_worker_is_killed_ends_and_the_next_one_serves),
		cmocka_unit_test(cleanup_in_a_namespace_without_routes_succeeds),
		cmocka_unit_test(
			a_service_is_refused_until_a_program_at_all_addresses_ends),
		cmocka_unit_test(
			a_program_cannot_listen_at_all_addresses_on_the_port_of_a_service),
		cmocka_unit_test(sigterm_leaves_no_route),
		cmocka_unit_test(diff_reports_nothing_when_all_is_there),
		cmocka_unit_test(once_is_an_error),
	};

	(void)setenv("SLUICE_TEST_MODE", "userspace", 1);
	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
