/*
 * The program without any right: another user without capabilities, on manifests.  Each
 * Service has a local port; node ports are served, and what is not served has a reason.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/manifest.h"
#include "tests/kernel/world.h"

#define SOME_USER 65534

static const struct manifest_service services[] = {
	{.name = "web",
	 .type = "NodePort",
	 .ip = "svc10",
	 .ports = "p 80>80@30080/TCP",
	 .endpoints = "pod1R"},
	{.name = "low",
	 .type = "NodePort",
	 .ip = "svc11",
	 .ports = "p 80>80@80/TCP",
	 .endpoints = "pod1R"},
};

struct user {
	struct world *world;
	char *program, *manifests, *folder, *socket;
	pid_t pid;
};

static void write_manifests(const struct user *u)
{
	_cleanup_(freep) char *path = xasprintf("%s/objects.yaml", u->manifests);
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	FILE *f;

	manifest_add_node(&text);
	for (size_t i = 0; i < N_ELEMENTS(services); i++)
		manifest_add_service(&text, &services[i]);
	f = fopen(path, "we");
	if (!f || fwrite(text.data, 1, text.len, f) != text.len || fclose(f))
		fail_msg("%s: %s", path, strerror(errno));
}

/* A copy of the program, because the folder of the build may be private. */
static int set_up(void **state)
{
	struct user *u = xcalloc(1, sizeof(*u));
	const char *dir;

	(void)world_setup(state);
	u->world = *state;
	dir = u->world->dir;
	u->program = xasprintf("%s/sluice", dir);
	u->manifests = xasprintf("%s/m", dir);
	u->folder = xasprintf("%s/user", dir);
	u->socket = xasprintf("%s/user/sock", dir);
	world_must(
		u->world, PLACE_NODE,
		"chmod 0711 %s && mkdir -m 0755 %s && mkdir %s && chown %d %s && cp %s "
		"%s && chmod 0755 %s",
		dir, u->manifests, u->folder, SOME_USER, u->folder, instance_program(),
		u->program, u->program);
	write_manifests(u);
	*state = u;
	return 0;
}

static void end(struct user *u)
{
	int status;

	if (!u->pid)
		return;
	(void)kill(u->pid, SIGTERM);
	(void)waitpid(u->pid, &status, 0);
	u->pid = 0;
}

static int tear_down(void **state)
{
	struct user *u = *state;

	end(u);
	*state = u->world;
	free(u->program);
	free(u->manifests);
	free(u->folder);
	free(u->socket);
	free(u);
	return world_teardown(state);
}

static void exec_as_user(const struct user *u)
{
	_cleanup_(freep) char *log = xasprintf("%s/log", u->folder);
	int fd;

	if (setgroups(0, NULL) == -1 ||
	    setresgid(SOME_USER, SOME_USER, SOME_USER) == -1 ||
	    setresuid(SOME_USER, SOME_USER, SOME_USER) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		_exit(126);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	(void)execl(u->program, u->program, "run", "--manifests", u->manifests,
		    "--control-socket", u->socket, "--hostname-override", WORLD_NODE_NAME,
		    "--proxy-mode", "userspace", "--userspace-listen", "127.0.0.1",
		    "--bpffs-root", u->folder, (char *)NULL);
	_exit(127);
}

/* `sluice COMMAND` beside it: its output in a file, which grep reads. */
static int ask(const struct user *u, const char *command, const char *pattern)
{
	return world_run(u->world, PLACE_NODE,
			 "%s %s --control-socket %s 2>&1 | grep -q '%s'",
			 instance_program(), command, u->socket, pattern);
}

static void await_answer(const struct user *u, const char *command, const char *pattern)
{
	uint64_t start_us = world_now_us();

	while (ask(u, command, pattern)) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US) {
			(void)world_run(u->world, PLACE_NODE,
					"%s %s --control-socket %s >&2; "
					"tail -n 40 %s/log >&2",
					instance_program(), command, u->socket,
					u->folder);
			fail_msg("%s: not \"%s\"", command, pattern);
		}
		world_sleep_ms(10);
	}
}

static void start(struct user *u)
{
	u->pid = world_fork(u->world, PLACE_NODE);
	if (!u->pid)
		exec_as_user(u);
	await_answer(u, "get services -A", "Local");
}

/* The local port of Service web. */
static uint16_t find_port(const struct user *u)
{
	_cleanup_(freep) char *path = xasprintf("%s/port", u->world->dir);
	_cleanup_(fclosep) FILE *f = NULL;
	unsigned port = 0;

	world_must(u->world, PLACE_NODE,
		   "%s get services -A --control-socket %s | awk '$2 == \"web\" && $3 == "
		   "\"Local\" && $4 == \"127.0.0.1\" { print $5 + 0 }' >%s",
		   instance_program(), u->socket, path);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &port), 1);
	return (uint16_t)port;
}

/* Fails the test unless pod1 answers. */
static void expect_answer(const struct user *u, const char *at, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	const struct timeval limit = {.tv_sec = WORLD_PATIENCE_US / 1000000};
	_cleanup_(closep) int fd = -1;
	char answer[200] = "";

	world_enter(u->world, PLACE_NODE);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world_leave(u->world);
	assert_int_equal(inet_pton(AF_INET, at, &sa.sin_addr), 1);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)),
			 0);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1)
		fail_msg("%s:%u: %s", at, port, strerror(errno));
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
	assert_memory_equal(answer, "10.180.0.1:80 ", strlen("10.180.0.1:80 "));
}

static void services_are_served_without_any_right(void **state)
{
	struct user *u = *state;
	uint16_t port;

	start(u);
	port = find_port(u);
	expect_answer(u, "127.0.0.1", port);
	expect_answer(u, "192.168.0.2", 30080); /* a high node port */
	end(u);
	start(u);
	assert_int_equal(find_port(u), port);
	expect_answer(u, "127.0.0.1", port);
}

static void what_is_not_served_has_a_reason(void **state)
{
	static const struct {
		const char *command, *pattern;
	} views[] = {
		{"get services -A -o wide",
		 "web *ClusterIP *172.30.0.10 .* unserved .*userspace: with "
		 "userspace-listen only node ports and local ports are served"},
		{"get services -A -o wide",
		 "low *NodePort .* unserved .*192.168.0.2:80: CAP_NET_BIND_SERVICE is "
		 "missing for ports below 1024"},
		{"get services -A -o json", "\"state\": \"unserved\""},
		{"explain test/web", "not served here: userspace: with userspace-listen"},
		{"explain test/web", "clients on this host reach it at 127.0.0.1:"},
		{"explain test/low",
		 "not served here: .*CAP_NET_BIND_SERVICE is missing"},
	};
	struct user *u = *state;

	if (!u->pid)
		start(u);
	for (size_t i = 0; i < N_ELEMENTS(views); i++)
		await_answer(u, views[i].command, views[i].pattern);
	/* one line for each service: low is two, one of each family */
	world_must(u->world, PLACE_NODE,
		   "test $(grep -c 'service test/low:p .*CAP_NET_BIND_SERVICE is "
		   "missing' %s/log) = 2 && test "
		   "$(grep -c 'IPv6 Services have no local port' %s/log) = 1",
		   u->folder, u->folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_are_served_without_any_right),
		cmocka_unit_test(what_is_not_served_has_a_reason),
	};

	return cmocka_run_group_tests_name("userspace_listen", tests, set_up, tear_down);
}
