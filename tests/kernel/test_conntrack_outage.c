/*
 * A conntrack that answers no dump for longer than the health timeout: a filter of
 * system calls refuses the daemon's requests.  Nothing else may notice.
 */
#include "tests/test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/http_get.h"
#include "tests/kernel/instance.h"

#define SYNC_PERIOD                                                                      \
	"2s" /* so the health timeout is 4 s, and a failed sink waits up to 2 s */
#define OUTAGE_US    12000000
#define LATE_US	     1500000 /* for a change, until it is in the kernel */
#define HEALTH_PORT  10256
#define METRICS_PORT 10249
#define SERVICE_PORT 32199 /* healthCheckNodePort */
#define HEADER_LEN                                                                       \
	20 /* of a netlink request without attributes, as for a list of addresses */

#define LOAD(field)                                                                      \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

/* Refuses sendto() of a netlink request with attributes: only dumps of conntrack are sent so. */
static void refuse_conntrack(void)
{
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 5),
		LOAD(args[5]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, sizeof(struct sockaddr_nl), 0, 3),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, HEADER_LEN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBUSY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {N_ELEMENTS(code), code};

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == -1)
		_exit(126);
}

/* A UDP Service, whose changes make conntrack work, with an endpoint here or none. */
static void write_services(struct instance *sluice, bool is_ready)
{
	_cleanup_(freep) char *yaml = xasprintf(
		"---\n"
		"apiVersion: v1\n"
		"kind: Service\n"
		"metadata: {name: dns}\n"
		"spec:\n"
		"  type: LoadBalancer\n"
		"  externalTrafficPolicy: Local\n"
		"  healthCheckNodePort: %d\n"
		"  clusterIP: 10.96.0.77\n"
		"  ports: [{port: 53, protocol: UDP}]\n"
		"---\n"
		"apiVersion: discovery.k8s.io/v1\n"
		"kind: EndpointSlice\n"
		"metadata: {name: dns, labels: {kubernetes.io/service-name: dns}}\n"
		"addressType: IPv4\n"
		"endpoints: [{addresses: [10.1.1.1], nodeName: " WORLD_NODE_NAME ",\n"
		"  conditions: {ready: %s}}]\n"
		"ports: [{name: \"\", port: 53, protocol: UDP}]\n",
		SERVICE_PORT, is_ready ? "true" : "false");

	instance_write(sluice, yaml);
}

static unsigned long count_log(const struct instance *sluice, const char *text)
{
	_cleanup_(freep) char *output = xasprintf("%s/count", sluice->world->dir);
	_cleanup_(fclosep) FILE *f = NULL;
	char line[32] = "0";

	(void)world_run(sluice->world, PLACE_NODE, "grep -cF -e \"%s\" %s >%s", text,
			sluice->log, output);
	f = fopen(output, "re");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	return strtoul(line, NULL, 10);
}

/* 0 if there is none of this name. */
static double metric(const struct world *w, const char *name)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	const char *line;

	assert_int_equal(http_get(w, METRICS_PORT, "/metrics", &body), 200);
	line = strstr(buf_string(&body), name);
	return line ? strtod(line + strlen(name), NULL) : 0;
}

static void expect_health_port(struct instance *sluice, int status)
{
	uint64_t start_us = world_now_us();

	while (http_get(sluice->world, SERVICE_PORT, "/", NULL) != status) {
		if (world_now_us() - start_us > LATE_US * world_patience())
			instance_fail(sluice, "the health check port is not %d", status);
		world_sleep_ms(5);
	}
}

static void change_and_check(struct instance *sluice, bool is_ready)
{
	uint64_t start_us = world_now_us();

	write_services(sluice, is_ready);
	instance_wait_written(sluice);
	assert_in_range(world_now_us() - start_us, 0, LATE_US * world_patience());
	expect_health_port(sluice, is_ready ? 200 : 503);
	assert_int_equal(http_get(sluice->world, HEALTH_PORT, "/healthz", NULL), 200);
}

static void a_conntrack_that_fails_delays_nothing_else(void **state)
{
	static const char *const args[] = {"--iptables-sync-period", SYNC_PERIOD, NULL};
	struct instance *sluice = *state;
	uint64_t end_us;

	(void)instance_end(sluice, SIGTERM);
	(void)unlink(sluice->log);
	sluice->before_exec = refuse_conntrack;
	instance_start(sluice, args);
	end_us = world_now_us() + OUTAGE_US;
	for (unsigned i = 0; world_now_us() < end_us; i++) {
		change_and_check(sluice, i % 2 == 0);
		world_sleep_ms(300);
	}
	assert_int_equal(count_log(sluice, "conntrack: could not apply changes: Device "
					   "or resource busy; retrying"),
			 1);
	assert_true(metric(sluice->world, "\nsluice_sink_stale{sink=\"conntrack\"} ") ==
		    1);
	assert_true(metric(sluice->world,
			   "\nsluice_sink_failures_total{sink=\"conntrack\"} ") > 4);
	assert_true(metric(sluice->world, "\nsluice_sink_stale{sink=\"nftables\"} ") ==
		    0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_conntrack_that_fails_delays_nothing_else),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
