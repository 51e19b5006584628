/*
 * The program as users run it, on manifests on disk: `sluice run --once`, each
 * time in a fresh network namespace, and the running daemon, from the moment
 * that a file is renamed into its folder until the kernel reports a new
 * generation of its rules.
 *
 *   bench_files SLUICE SERVICES ENDPOINTS
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "bench/folder.h"
#include "bench/rows.h"
#include "bench/workload.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define N_COLD	    5
#define N_CHANGES   100
#define QUIET_MS    1500   /* nothing more comes: the daemon has settled */
#define PATIENCE_MS 120000 /* for a first sync */
#define PAUSE_US    150000 /* between changes, so that none waits for the last */

struct bench {
	const char *program;
	struct rows_size size;
	char *folder, *socket;
	struct mnl_socket *events;
};

static void bring_up_lo(void)
{
	if (system("ip link set lo up") != 0)
		rows_fail(-EINVAL, "ip link set lo up");
}

static pid_t start_program(const struct bench *b, bool once)
{
	const char *argv[] = {
		b->program,
		"run",
		"--manifests",
		b->folder,
		"--hostname-override",
		WORKLOAD_NODE_NAME,
		"--proxy-mode",
		"nftables",
		"--bpffs-root", /* nothing is there: the machine's pins stay */
		b->folder,
		"--cluster-cidr",
		WORKLOAD_POD_CIDR,
		"--control-socket",
		b->socket,
		once ? "--once" : NULL,
		NULL,
	};
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == -1)
		rows_fail(-errno, "fork");
	if (pid > 0)
		return pid;
	if (once && unshare(CLONE_NEWNET) == -1)
		_exit(125);
	if (once)
		bring_up_lo();
	folder_exec(b->program, argv);
}

static void measure_once(const struct bench *b)
{
	struct row row = {0};
	struct rusage usage;
	int status;

	for (int i = 0; i < N_COLD; i++) {
		uint64_t start_us = samples_now_us();
		pid_t pid = start_program(b, true);

		if (wait4(pid, &status, 0, &usage) != pid)
			rows_fail(-errno, "wait");
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			rows_fail(-EINVAL, "sluice run --once failed");
		samples_add(&row.total, samples_now_us() - start_us);
	}
	rows_print(b->size, "files: run --once", &row);
	rows_note(b->size, "memory: run --once at most %.1f MB",
		  (double)usage.ru_maxrss / 1024.0);
}

/* ---- the running daemon ---- */

static int is_new_generation(const struct nlmsghdr *nlh, void *data)
{
	bool *is_there = data;

	if (nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
		*is_there = true;
	return MNL_CB_OK;
}

/* False when none came in that time. An overrun means that much has happened. */
static bool wait_generation(const struct bench *b, int timeout_ms)
{
	static _Alignas(struct nlmsghdr) char buf[1 << 16];
	struct pollfd fd = {.fd = mnl_socket_get_fd(b->events), .events = POLLIN};
	uint64_t end_us = samples_now_us() + (uint64_t)timeout_ms * 1000;
	bool is_there = false;

	while (!is_there) {
		uint64_t now_us = samples_now_us();
		ssize_t len;

		if (now_us >= end_us ||
		    poll(&fd, 1, (int)((end_us - now_us + 999) / 1000)) == 0)
			return false;
		len = mnl_socket_recvfrom(b->events, buf, sizeof(buf));
		if (len == -1)
			return errno == ENOBUFS;
		(void)mnl_cb_run(buf, (size_t)len, 0, 0, is_new_generation, &is_there);
	}
	return true;
}

static void wait_settled(const struct bench *b)
{
	if (!wait_generation(b, PATIENCE_MS))
		rows_fail(-ETIMEDOUT, "the daemon does nothing");
	while (wait_generation(b, QUIET_MS)) {
	}
}

static void measure_daemon(const struct bench *b, const char *what)
{
	struct row row = {0};
	pid_t pid = start_program(b, false);

	wait_settled(b);
	rows_note(b->size, "memory: daemon %.1f MB after start, at most %.1f MB",
		  samples_memory_mb(pid, "VmRSS:"), samples_memory_mb(pid, "VmHWM:"));
	for (uint32_t i = 0; i < N_CHANGES; i++) {
		uint64_t start_us;

		(void)usleep(PAUSE_US);
		start_us = samples_now_us();
		folder_write_last(b->folder, b->size, i + 1);
		if (!wait_generation(b, PATIENCE_MS))
			rows_fail(-ETIMEDOUT, "a change did not come to the kernel");
		samples_add(&row.total, samples_now_us() - start_us);
	}
	rows_print(b->size, what, &row);
	rows_note(b->size, "memory: daemon %.1f MB after changes",
		  samples_memory_mb(pid, "VmRSS:"));
	(void)kill(pid, SIGTERM);
	(void)waitpid(pid, NULL, 0);
}

static void open_events(struct bench *b)
{
	int group = NFNLGRP_NFTABLES;

	b->events = mnl_socket_open(NETLINK_NETFILTER);
	if (!b->events || mnl_socket_bind(b->events, 0, MNL_SOCKET_AUTOPID) == -1 ||
	    mnl_socket_setsockopt(b->events, NETLINK_ADD_MEMBERSHIP, &group,
				  sizeof(group)) == -1)
		rows_fail(-errno, "nftables notifications");
}

/* A fresh one, without rules. */
static void enter_namespace(struct bench *b)
{
	if (b->events)
		(void)mnl_socket_close(b->events);
	if (unshare(CLONE_NEWNET) == -1)
		rows_fail(-errno, "a network namespace");
	bring_up_lo();
	open_events(b);
}

int main(int argc, char **argv)
{
	char template[] = "/tmp/sluice-bench.XXXXXX";
	struct bench b = {.size = rows_parse_size(argc, argv, 4, "SLUICE ")};

	b.program = argv[1];
	if (!mkdtemp(template))
		rows_fail(-errno, "%s", template);
	b.folder = template;
	b.socket = xasprintf("%s/sluice.sock", template);
	enter_namespace(&b);
	folder_write_rest(b.folder, b.size);
	folder_write_last(b.folder, b.size, 0);
	measure_once(&b);
	measure_daemon(&b, "files: one changed");
	folder_remove_file(b.folder, "all.json");
	folder_write_files(b.folder, b.size);
	enter_namespace(&b);
	measure_daemon(&b, "files: one of as many");
	folder_remove(b.folder, b.size);
	(void)mnl_socket_close(b.events);
	free(b.socket);
	return 0;
}
