/*
 * One daemon for each network namespace, cleanup beside it and after kube-proxy, the
 * commands before the first objects, and thousands of health check node ports.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/await.h"
#include "tests/kernel/instance.h"
#include "tests/test.h"

#define N_HEALTH_PORTS	  2000
#define FIRST_HEALTH_PORT 30000
#define SOFT_LIMIT	  1024 /* descriptors, as a shell and systemd give it */
#define HEALTHZ_PORT	  10256
#define HEALTHZ_MAX_US	  100000
#define N_HEALTHZ	  21

/* Runs a shell command in the node's place; exit status, and output. */
static int run_in_node(const struct instance *in, const char *command, struct buf *out)
{
	_cleanup_(freep) char *path = xasprintf("%s/shell", in->world->dir);
	int status = world_run(in->world, PLACE_NODE, "( %s ) >%s 2>&1", command, path);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char bytes[4096];
	size_t len;

	while (f && (len = fread(bytes, 1, sizeof(bytes), f)) > 0)
		buf_add(out, bytes, len);
	return status;
}

static void expect_output(const struct instance *in, const char *command, int status,
			  const char *text)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	int got = run_in_node(in, command, &out);

	if (got != status || !strstr(buf_string(&out), text))
		fail_msg("%s: status %d and \"%s\", expected %d and \"%s\"", command, got,
			 buf_string(&out), status, text);
}

static void cleanup_beside_a_daemon_is_refused_with_its_pid(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *command = xasprintf("%s cleanup --bpffs-root %s",
						   instance_program(), sluice->bpffs);
	_cleanup_(freep) char *text =
		xasprintf("sluice runs in this network namespace (pid %d)", sluice->pid);

	expect_output(sluice, command, 1, text);
	world_must(sluice->world, PLACE_NODE, "nft list table ip sluice >/dev/null");
}

static void a_second_daemon_is_refused_with_the_pid_of_the_first(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *command =
		xasprintf("%s run --manifests %s --control-socket %s/second.sock "
			  "--proxy-mode nftables --bpffs-root %s "
			  "--hostname-override " WORLD_NODE_NAME,
			  instance_program(), sluice->manifests, sluice->world->dir,
			  sluice->bpffs);
	_cleanup_(freep) char *text =
		xasprintf("another sluice (pid %d) programs this network namespace",
			  sluice->pid);

	expect_output(sluice, command, 1, text);
}

static void cleanup_removes_what_kube_proxy_left_and_nothing_else(void **state)
{
	static const char others[] =
		"nft add table ip others; nft add chain ip others kube-proxy;"
		"iptables-nft -t nat -N CNI-HOSTPORT-DNAT;"
		"iptables-nft -t nat -A PREROUTING -j CNI-HOSTPORT-DNAT;"
		"iptables-nft -t nat -N KUBE-KUBELET-CANARY;"
		"iptables-nft -t nat -N KUBE-PORTAL;"
		"iptables-nft -t filter -A FORWARD -s 10.9.9.9 -j ACCEPT";
	static const char kube_proxy[] =
		"nft add table ip kube-proxy; nft add table ip6 kube-proxy;"
		"nft add chain ip6 kube-proxy services;"
		"nft 'add chain ip kube-proxy services "
		"{ type nat hook prerouting priority -100; }';"
		"iptables-nft -t nat -N KUBE-SERVICES;"
		"iptables-nft -t nat -N KUBE-SVC-ABC;"
		"iptables-nft -t nat -I PREROUTING -j KUBE-SERVICES;"
		"iptables-nft -t nat -A KUBE-SERVICES -d 10.96.0.1 -j KUBE-SVC-ABC;"
		"iptables-nft -t filter -N KUBE-FORWARD;"
		"iptables-nft -t filter -I FORWARD -j KUBE-FORWARD";
	struct instance *sluice = *state;
	_cleanup_(freep) char *command =
		xasprintf("%s cleanup --kube-proxy --bpffs-root %s", instance_program(),
			  sluice->bpffs);
	const struct world *w = sluice->world;
	_cleanup_(freep) char *own = xasprintf("%s cleanup --bpffs-root %s",
					       instance_program(), sluice->bpffs);

	(void)instance_end(sluice, SIGTERM);
	expect_output(sluice, own, 0, "removed: ip sluice, ip6 sluice\n");
	expect_output(sluice, own, 0, "nothing of sluice is there\n");
	world_must(w, PLACE_NODE, "set -e; %s", others);
	world_must(w, PLACE_NODE, "nft -s list ruleset 2>/dev/null >%s/before", w->dir);
	world_must(w, PLACE_NODE, "set -e; %s", kube_proxy);
	expect_output(sluice, command, 0, "removed of kube-proxy:");
	world_must(w, PLACE_NODE,
		   "nft -s list ruleset 2>/dev/null | diff %s/before - >&2", w->dir);
	expect_output(sluice, command, 0, "nothing of kube-proxy is there");
	world_must(w, PLACE_NODE, "nft flush ruleset");
	instance_start(sluice, NULL);
}

#define SETTING "net.netfilter.nf_conntrack_tcp_timeout_established"

static void a_start_that_fails_changes_no_setting(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *command =
		xasprintf("%s run --manifests /nonexistent --proxy-mode nftables "
			  "--control-socket '' --bpffs-root %s",
			  instance_program(), sluice->bpffs);

	(void)instance_end(sluice, SIGTERM);
	world_must(sluice->world, PLACE_NODE, "sysctl -qw " SETTING "=4321");
	expect_output(sluice, command, 1, "/nonexistent");
	world_must(sluice->world, PLACE_NODE, "test $(sysctl -n " SETTING ") = 4321");
	instance_start(sluice, NULL);
}

/* A Service of two ports, besides the marker in both families. */
static void the_first_sync_is_logged_with_what_it_programmed(void **state)
{
	struct instance *sluice = *state;

	instance_put_yaml(sluice,
			  "---\napiVersion: v1\nkind: Service\n"
			  "metadata: { name: two-ports }\n"
			  "spec: { clusterIP: 172.30.9.9, ports: [{ name: a, port: 80 }, "
			  "{ name: b, port: 81 }] }\n");
	(void)instance_end(sluice, SIGTERM);
	world_must(sluice->world, PLACE_NODE, ">%s", sluice->log);
	instance_start(sluice, NULL);
	await_log(sluice, "ready: 4 service ports of 2 Services and ");
}

static void put_watched(struct instance *sluice, const char *port)
{
	_cleanup_(freep) char *yaml =
		xasprintf("---\napiVersion: v1\nkind: Service\n"
			  "metadata: { name: watched }\n"
			  "spec: { clusterIP: 172.30.9.10, ports: [{ port: %s }] }\n",
			  port);

	instance_put_yaml(sluice, yaml);
}

/* A row with this name, port and state: "watched 81/TCP refused" */
static void await_row(struct instance *sluice, const char *row)
{
	uint64_t start_us = world_now_us();

	while (world_run(sluice->world, PLACE_NODE,
			 "awk '{ print $2, $5, $8 }' %s/watch | grep -qx '%s'",
			 sluice->world->dir, row) != 0) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US) {
			world_must(sluice->world, PLACE_NODE, "cat %s/watch",
				   sluice->world->dir);
			instance_fail(sluice, "not a row of get -w: %s", row);
		}
		world_sleep_ms(20);
	}
}

/* The table first, then the rows of each Service that changes. */
static void get_w_prints_the_rows_of_each_change(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *command =
		xasprintf("exec %s get services -w --no-headers --control-socket %s "
			  ">%s/watch 2>&1",
			  instance_program(), sluice->socket, sluice->world->dir);
	pid_t pid;

	put_watched(sluice, "80");
	pid = world_fork(sluice->world, PLACE_NODE);
	if (!pid) {
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	await_row(sluice, "watched 80/TCP refused");
	put_watched(sluice, "81");
	await_row(sluice, "watched 81/TCP refused");
	instance_put_yaml(sluice, "");
	await_row(sluice, "watched - removed");
	world_must(sluice->world, PLACE_NODE, "[ $(grep -c ' watched ' %s/watch) = 3 ]",
		   sluice->world->dir);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static pid_t start_without_server(const struct instance *in)
{
	_cleanup_(freep) char *command =
		xasprintf("exec %s run --kubeconfig %s/kubeconfig --state-dir '' "
			  "--control-socket %s "
			  "--proxy-mode nftables --bpffs-root %s "
			  "--hostname-override " WORLD_NODE_NAME " >>%s 2>&1",
			  instance_program(), in->world->dir, in->socket, in->bpffs,
			  in->log);
	pid_t pid;

	world_must(in->world, PLACE_NODE,
		   "printf 'apiVersion: v1\\nkind: Config\\ncurrent-context: c\\n"
		   "clusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\\n"
		   "contexts: [{name: c, context: {cluster: c, user: u}}]\\n"
		   "users: [{name: u, user: {}}]\\n' >%s/kubeconfig",
		   in->world->dir);
	pid = world_fork(in->world, PLACE_NODE);
	if (!pid) {
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void commands_without_objects_say_why(void **state)
{
	static const char *const commands[] = {"get services", "get endpoints",
					       "explain 172.30.0.10:80", "diff",
					       "status"};
	struct instance *sluice = *state;
	uint64_t start_us = world_now_us();

	(void)instance_end(sluice, SIGTERM);
	sluice->pid = start_without_server(sluice);
	for (size_t i = 0; i < N_ELEMENTS(commands);) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;
		int status = instance_command(sluice, commands[i], &out);

		if (strstr(buf_string(&out), "nothing read yet: ") &&
		    strstr(buf_string(&out), "(api: ")) {
			assert_int_equal(status, 1);
			i++;
		} else if (world_now_us() - start_us > WORLD_PATIENCE_US) {
			instance_fail(sluice, "%s: %s", commands[i], buf_string(&out));
		}
		world_sleep_ms(5);
	}
	(void)instance_end(sluice, SIGTERM);
	instance_start(sluice, NULL);
}

/* Even ones have an endpoint on this node, odd ones on another. */
static void add_health_service(struct buf *yaml, unsigned i)
{
	buf_printf(yaml,
		   "---\napiVersion: v1\nkind: Service\n"
		   "metadata: { namespace: crowd, name: s%u }\n"
		   "spec: { type: LoadBalancer, externalTrafficPolicy: Local, "
		   "clusterIP: 172.30.%u.%u, healthCheckNodePort: %u, "
		   "ports: [{ port: 80, protocol: TCP }] }\n"
		   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		   "metadata: { namespace: crowd, name: s%u-x, labels: "
		   "{ kubernetes.io/service-name: s%u } }\n"
		   "addressType: IPv4\nports: [{ name: '', port: 80 }]\n"
		   "endpoints: [{ addresses: [10.180.0.1], nodeName: %s }]\n",
		   i, 1 + i / 250, 1 + i % 250, FIRST_HEALTH_PORT + i, i, i,
		   i % 2 ? "far" : WORLD_NODE_NAME);
}

/* The HTTP status; 0 if the port does not answer. */
static int request(const struct world *w, unsigned port, const char *path)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port)};
	struct timeval patience = {.tv_sec = 10};
	_cleanup_(closep) int fd = -1;
	char text[256] = "";
	int status = 0, len;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	world_enter(w, PLACE_NODE);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world_leave(w);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1)
		return 0;
	len = snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\n\r\n", path);
	if (write(fd, text, (size_t)len) != len || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return sscanf(text, "HTTP/1.%*d %d", &status) == 1 ? status : 0;
}

/* The ports open after the rules are in the kernel, all of them in one turn of the loop. */
static void wait_health_port(struct instance *in, unsigned port)
{
	uint64_t start_us = world_now_us();

	while (!request(in->world, port, "/")) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			instance_fail(in, "health check node port %u is not open", port);
		world_sleep_ms(5);
	}
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t healthz_median_us(const struct world *w)
{
	uint64_t took_us[N_HEALTHZ];

	for (size_t i = 0; i < N_HEALTHZ; i++) {
		uint64_t start_us = world_now_us();

		assert_int_equal(request(w, HEALTHZ_PORT, "/healthz"), 200);
		took_us[i] = world_now_us() - start_us;
	}
	qsort(took_us, N_HEALTHZ, sizeof(took_us[0]), compare_times);
	return took_us[N_HEALTHZ / 2];
}

static void thousands_of_health_ports_answer_within_a_soft_limit(void **state)
{
	_cleanup_(buf_fini) struct buf yaml = BUF_INIT;
	struct instance *sluice = *state;
	struct rlimit before, low;
	uint64_t median_us;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	if (before.rlim_max < N_HEALTH_PORTS + SOFT_LIMIT)
		skip(); /* the daemon raises its soft limit up to this */
	for (unsigned i = 0; i < N_HEALTH_PORTS; i++)
		add_health_service(&yaml, i);
	(void)instance_end(sluice, SIGTERM);
	instance_write(sluice, buf_string(&yaml));
	low = before;
	low.rlim_cur = SOFT_LIMIT;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	instance_start(sluice, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	wait_health_port(sluice, FIRST_HEALTH_PORT + N_HEALTH_PORTS - 1);
	wait_health_port(sluice, FIRST_HEALTH_PORT);
	for (unsigned i = 0; i < N_HEALTH_PORTS; i++)
		assert_int_equal(request(sluice->world, FIRST_HEALTH_PORT + i, "/"),
				 i % 2 ? 503 : 200);
	median_us = healthz_median_us(sluice->world);
	print_message("/healthz beside %d ports: %.1f ms\n", N_HEALTH_PORTS,
		      (double)median_us / 1000);
	assert_in_range(median_us, 1, HEALTHZ_MAX_US * world_patience());
	instance_put_yaml(sluice, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cleanup_beside_a_daemon_is_refused_with_its_pid),
		cmocka_unit_test(a_second_daemon_is_refused_with_the_pid_of_the_first),
		cmocka_unit_test(cleanup_removes_what_kube_proxy_left_and_nothing_else),
		cmocka_unit_test(a_start_that_fails_changes_no_setting),
		cmocka_unit_test(the_first_sync_is_logged_with_what_it_programmed),
		cmocka_unit_test(get_w_prints_the_rows_of_each_change),
		cmocka_unit_test(commands_without_objects_say_why),
		cmocka_unit_test(thousands_of_health_ports_answer_within_a_soft_limit),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
