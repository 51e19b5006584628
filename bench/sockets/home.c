#include "bench/sockets/home.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/rows.h"
#include "bpf/ebpf_cgroup.h"
#include "core/cleanup.h"
#include "core/mem.h"

static char folder[] = "/tmp/sluice-bench-XXXXXX";
static char *cgroup; /* ours; others are below it */
static pid_t child;

static void pass_on(int number)
{
	(void)kill(child, number);
}

/* The cgroups below ours, and ours. They are empty when all processes have ended. */
static void remove_cgroups(void)
{
	static const char *const names[] = {"/plain", "/bare", "/loaded", ""};

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		_cleanup_(freep) char *path = xasprintf("%s%s", cgroup, names[i]);

		/* a process that ended is removed from its cgroup a moment later */
		for (int n = 0; rmdir(path) != 0 && errno == EBUSY && n < 100; n++)
			(void)usleep(20000);
	}
}

static _Noreturn void guard(void)
{
	int status;

	(void)signal(SIGINT, pass_on);
	(void)signal(SIGTERM, pass_on);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	remove_cgroups();
	(void)rmdir(folder);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void make_bpffs(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		rows_fail(-errno, "namespaces (root is needed)");
	if (mount("bpf", folder, "bpf", 0, NULL) != 0)
		rows_fail(-errno, "a BPF filesystem");
}

void home_enter(void)
{
	_cleanup_(freep) char *root = ebpf_cgroup_find();
	pid_t parent = getpid();

	if (!root)
		rows_fail(-ENOTSUP, "cgroup v2 is not mounted");
	cgroup = xasprintf("%s/sluice-bench-%d", root, (int)parent);
	if (mkdir(cgroup, 0755) != 0)
		rows_fail(-errno, "%s", cgroup);
	if (!mkdtemp(folder)) {
		(void)rmdir(cgroup);
		rows_fail(-errno, "%s", folder);
	}
	child = fork();
	if (child > 0)
		guard();
	if (child < 0) {
		remove_cgroups();
		(void)rmdir(folder);
		rows_fail(-EAGAIN, "fork");
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	make_bpffs();
}

const char *home_bpffs(void)
{
	return folder;
}

char *home_cgroup(const char *name)
{
	char *path = xasprintf("%s/%s", cgroup, name);

	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		rows_fail(-errno, "%s", path);
	return path;
}

void home_move(const char *to)
{
	_cleanup_(freep) char *procs = xasprintf("%s/cgroup.procs", to);
	_cleanup_(closep) int fd = open(procs, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		rows_fail(-errno, "%s", procs);
}
