#include "tests/kernel/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/backend.h"
#include "tests/kernel/ebpf_stage.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define MARKER_IP	 "svc250"
#define MARKER_PORT_BASE 20000
#define MAX_ARGS	 32

static struct ebpf_stage *stage; /* in eBPF mode */

void instance_fail(struct instance *in, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	(void)world_run(in->world, PLACE_NODE, "tail -n 40 %s >&2", in->log);
	fail_msg("%s", why);
	abort(); /* fail_msg() does not return, which its prototype hides */
}

const char *instance_program(void)
{
	const char *other = getenv("SLUICE_PROGRAM");

	return other ? other : SLUICE_PROGRAM;
}

bool instance_is_release(void)
{
	return getenv("SLUICE_PROGRAM");
}

static bool is_mode(const char *name)
{
	const char *mode = getenv("SLUICE_TEST_MODE");

	return mode && !strcmp(mode, name);
}

bool instance_is_ebpf(void)
{
	return is_mode("ebpf");
}

bool instance_is_userspace(void)
{
	return is_mode("userspace");
}

/* The node's and the pods' processes are those in the stage's cgroup. */
static void enter_stage(void)
{
#ifdef SLUICE_HAS_EBPF
	stage = ebpf_stage_enter();
#endif
	if (!stage)
		exit(TEST_SKIPPED);
}

static void leave_stage(void)
{
#ifdef SLUICE_HAS_EBPF
	ebpf_stage_leave(stage);
#endif
	stage = NULL;
}

struct instance *instance_new(struct world *w)
{
	struct instance *in = xcalloc(1, sizeof(*in));

	in->world = w;
	in->manifests = xasprintf("%s/manifests", w->dir);
	in->socket = xasprintf("%s/sluice.sock", w->dir);
	in->log = xasprintf("%s/log", w->dir);
	in->bpffs = stage ? xstrdup(stage->bpffs) : xasprintf("%s/bpf", w->dir);
	if (stage) {
		in->cgroup = stage->cgroup;
		w->outside = stage->home_cgroup;
		w->pod = stage->pod_procs;
		w->opted_out = stage->opted_out_procs;
	}
	/* a process that listens at all addresses keeps node ports from being served */
	if (instance_is_userspace() && w->backends[PLACE_NODE]) {
		backend_stop(w->backends[PLACE_NODE]);
		w->backends[PLACE_NODE] = 0;
	}
	if (mkdir(in->manifests, 0700) == -1 && errno != EEXIST)
		fail_msg("%s: %s", in->manifests, strerror(errno));
	instance_write(in, "");
	return in;
}

void instance_free(struct instance *in)
{
	if (!in)
		return;
	if (in->pid)
		(void)instance_end(in, SIGKILL);
	free(in->manifests);
	free(in->socket);
	free(in->log);
	free(in->bpffs);
	free(in->yaml);
	free(in);
}

static void write_file(struct instance *in, const struct buf *text)
{
	_cleanup_(freep) char *path = xasprintf("%s/objects.yaml", in->manifests);
	_cleanup_(freep) char *draft = xasprintf("%s/.objects.yaml", in->manifests);
	FILE *f = fopen(draft, "we");

	if (!f || fwrite(text->data, 1, text->len, f) != text->len || fclose(f) ||
	    rename(draft, path) == -1)
		fail_msg("%s: %s", path, strerror(errno));
}

void instance_write(struct instance *in, const char *yaml)
{
	static unsigned generation;
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	char ports[32];
	struct manifest_service marker = {
		.name = "marker",
		.ip = MARKER_IP,
		.ports = ports,
		.endpoints = "pod1R",
	};

	if (yaml != in->yaml) {
		free(in->yaml);
		in->yaml = xstrdup(yaml);
	}
	/* never used before in this process: an older instance's rules may still be there */
	in->written = MARKER_PORT_BASE + ++generation;
	(void)snprintf(ports, sizeof(ports), "m %u>80/TCP", in->written);
	manifest_add_node(&text);
	buf_add_string(&text, yaml);
	manifest_add_service(&text, &marker);
	write_file(in, &text);
}

/* The control socket answers any line, between two turns of the daemon's loop. */
static bool answers_commands(const struct instance *in)
{
	const struct timeval limit = {.tv_sec = WORLD_PATIENCE_US / 1000000};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", in->socket);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
	       send(fd, "\n", 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
}

/* Fails the test if it ended, or after so long. */
static void expect_running(struct instance *in, uint64_t start_us, const char *why)
{
	int status;

	if (in->pid && waitpid(in->pid, &status, WNOHANG) == in->pid) {
		in->pid = 0;
		instance_fail(in, "sluice ended, wait status %#x", status);
	}
	if (world_now_us() - start_us > WORLD_PATIENCE_US)
		instance_fail(in, "%s", why);
	world_sleep_ms(1);
}

void instance_wait_written(struct instance *in)
{
	uint64_t start = world_now_us();
	/* nftables, which an outside client needs, is programmed last */
	struct target t = target_named(stage ? "client" : "node", MARKER_IP, IPPROTO_TCP,
				       FAMILY_IPV4);

	t.port = (uint16_t)in->written;
	for (int f = 0; f < FAMILY_N;) {
		struct addr marker = world_addr(MARKER_IP, (enum family)f);

		t.family = (enum family)f;
		t.addr = marker;
		if (probe(in->world, &t, 20).outcome == PROBE_ANSWERED)
			f++;
		else
			expect_running(in, start,
				       "the written services are not in the kernel");
	}
	while (in->pid && !answers_commands(in))
		expect_running(in, start, "the control socket does not answer");
}

void instance_put_yaml(struct instance *in, const char *yaml)
{
	instance_write(in, yaml);
	if (in->pid)
		instance_wait_written(in);
}

void instance_put(struct instance *in, const struct manifest_service *services, size_t n)
{
	_cleanup_(buf_fini) struct buf yaml = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		manifest_add_service(&yaml, &services[i]);
	instance_put_yaml(in, buf_string(&yaml));
}

void instance_check(struct instance *in, const struct scenario *s)
{
	instance_put(in, s->services, s->n_services);
	traffic_check(in->world, s->rows, s->n_rows);
}

/* The program reads and writes only what the arguments name. */
static void exec_sluice(struct instance *in, const char *const *args)
{
	const char *argv[MAX_ARGS] = {
		instance_program(),
		"run",
		in->master ? "--master" : "--manifests",
		in->master ? in->master : in->manifests,
		"--control-socket",
		in->socket,
		"--hostname-override",
		WORLD_NODE_NAME,
		"--proxy-mode",
		"nftables",
		"--bpffs-root",
		in->bpffs,
		"--state-dir",
		in->state_dir ? in->state_dir : "",
	};
	size_t n = 14;
	int fd = open(in->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (stage) { /* the last one counts */
		argv[n++] = "--proxy-mode=ebpf";
		argv[n++] = "--cgroup-root";
		argv[n++] = stage->cgroup;
		argv[n++] = "--ebpf-exclude-cgroup";
		argv[n++] = stage->opted_out;
	}
	if (instance_is_userspace())
		argv[n++] = "--proxy-mode=userspace";
	for (; args && *args && n < MAX_ARGS - 1; args++)
		argv[n++] = *args;
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	if (in->before_exec)
		in->before_exec();
	(void)execv(instance_program(), (char *const *)(uintptr_t)argv);
	_exit(127);
}

void instance_launch(struct instance *in, const char *const *args)
{
	static const char *const usual[] = {"--cluster-cidr", WORLD_POD_CIDRS, NULL};

	if (in->pid)
		fail_msg("it runs already");
	in->pid = world_fork(in->world, PLACE_NODE);
	if (!in->pid)
		exec_sluice(in, args ? args : usual);
}

void instance_start(struct instance *in, const char *const *args)
{
	instance_write(in, in->yaml);
	instance_launch(in, args);
	instance_wait_written(in);
}

int instance_setup(void **state)
{
	struct instance *in;

	if (instance_is_ebpf())
		enter_stage();
	(void)world_setup(state);
	in = instance_new(*state);
	instance_start(in, NULL);
	*state = in;
	return 0;
}

int instance_teardown(void **state)
{
	struct instance *in = *state;
	int result;

	*state = in->world;
	instance_free(in);
	result = world_teardown(state);
	leave_stage();
	return result;
}

int instance_end(struct instance *in, int signal)
{
	uint64_t start = world_now_us();
	int status = 0;
	pid_t done;

	if (!in->pid)
		return 0;
	(void)kill(in->pid, signal);
	while ((done = waitpid(in->pid, &status, WNOHANG)) == 0) {
		if (world_now_us() - start > WORLD_PATIENCE_US) {
			(void)kill(in->pid, SIGKILL);
			(void)waitpid(in->pid, &status, 0);
			in->pid = 0;
			instance_fail(in, "signal %d did not end it", signal);
		}
		world_sleep_ms(1);
	}
	in->pid = 0;
	return status;
}

int instance_command(struct instance *in, const char *command, struct buf *ret_output)
{
	_cleanup_(freep) char *path = xasprintf("%s/output", in->world->dir);
	_cleanup_(fclosep) FILE *f = NULL;
	char bytes[4096];
	size_t len;
	int status;

	status = world_run(in->world, PLACE_NODE, "%s %s --control-socket %s >%s 2>&1",
			   instance_program(), command, in->socket, path);
	f = fopen(path, "re");
	while (f && (len = fread(bytes, 1, sizeof(bytes), f)) > 0)
		buf_add(ret_output, bytes, len);
	return status;
}
