#include "tests/kernel/ebpf_stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/ebpf_cgroup.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"

#define ANSWER_MS  10000
#define REMOVED_MS 60000 /* processes that were killed take their time to end */
#define MAX_PLACES 32

static pid_t server;

static int write_text(const char *path, const char *text)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0
										 : -errno;
}

/* The cgroup.procs of the v2 cgroup that this process is in. */
static char *own_cgroup(const char *root)
{
	_cleanup_(fclosep) FILE *file = fopen("/proc/self/cgroup", "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			return xasprintf("%s%s/cgroup.procs", root, line + 3);
	}
	return NULL;
}

static struct ebpf_stage *cannot(struct ebpf_stage *stage, const char *what)
{
	print_message("skipped: %s: %s\n", what, strerror(errno));
	ebpf_stage_leave(stage);
	return NULL;
}

static char *make_below(const struct ebpf_stage *stage, const char *name,
			char **ret_procs)
{
	char *path = xasprintf("%s/%s", stage->cgroup, name);

	assert_int_equal(mkdir(path, 0755), 0);
	*ret_procs = xasprintf("%s/cgroup.procs", path);
	return path;
}

struct ebpf_stage *ebpf_stage_enter(void)
{
	_cleanup_(freep) char *root = ebpf_cgroup_find();
	_cleanup_(freep) char *procs = NULL;
	char folder[] = "/tmp/sluice-bpf-XXXXXX";
	struct ebpf_stage *stage = xcalloc(1, sizeof(*stage));

	stage->home_net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	stage->home_mnt = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	stage->home_root = open("/", O_PATH | O_CLOEXEC);
	stage->home_folder = open(".", O_PATH | O_CLOEXEC);
	if (!root)
		return cannot(stage, "cgroup v2 is not mounted");
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
		return cannot(stage, "namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || !mkdtemp(folder))
		return cannot(stage, "private mounts");
	stage->bpffs = xstrdup(folder);
	if (mount("bpf", folder, "bpf", 0, NULL) != 0)
		return cannot(stage, "a BPF filesystem");
	stage->home_cgroup = own_cgroup(root);
	stage->cgroup = xasprintf("%s/sluice-test-%d", root, (int)getpid());
	procs = xasprintf("%s/cgroup.procs", stage->cgroup);
	if (mkdir(stage->cgroup, 0755) != 0 || write_text(procs, "0") != 0)
		return cannot(stage, "a cgroup");
	stage->pod = make_below(stage, "pod", &stage->pod_procs);
	stage->opted_out = make_below(stage, "opted-out", &stage->opted_out_procs);
	assert_int_equal(system("ip link set lo up"), 0);
	return stage;
}

/* With the processes that a test which failed left in it. */
static void remove_cgroup(const char *path)
{
	_cleanup_(freep) char *kill_all = NULL;
	int err = 0;

	if (!path)
		return;
	kill_all = xasprintf("%s/cgroup.kill", path);
	(void)write_text(kill_all, "1");
	for (int i = 0; i < REMOVED_MS; i++) {
		err = rmdir(path) == 0 || errno == ENOENT ? 0 : errno;
		if (err != EBUSY)
			break;
		(void)usleep(1000);
	}
	if (err)
		print_message("%s: %s\n", path, strerror(err));
}

/* The namespace's root is not ours if we were started in a chroot. */
static void leave_mounts(const struct ebpf_stage *stage)
{
	if (setns(stage->home_mnt, CLONE_NEWNS) == -1 || fchdir(stage->home_root) == -1 ||
	    chroot(".") == -1 || fchdir(stage->home_folder) == -1)
		print_message("cannot leave the mount namespace: %s\n", strerror(errno));
}

void ebpf_stage_leave(struct ebpf_stage *stage)
{
	if (!stage)
		return;
	if (server > 0) {
		(void)kill(server, SIGKILL);
		(void)waitpid(server, NULL, 0);
		server = 0;
	}
	if (stage->home_cgroup)
		(void)write_text(stage->home_cgroup, "0");
	(void)setns(stage->home_net, CLONE_NEWNET);
	leave_mounts(stage);
	(void)close(stage->home_net);
	(void)close(stage->home_mnt);
	(void)close(stage->home_root);
	(void)close(stage->home_folder);
	remove_cgroup(stage->pod);
	remove_cgroup(stage->opted_out);
	remove_cgroup(stage->cgroup);
	if (stage->bpffs)
		(void)rmdir(stage->bpffs);
	free(stage->home_cgroup);
	free(stage->pod);
	free(stage->pod_procs);
	free(stage->opted_out);
	free(stage->opted_out_procs);
	free(stage->cgroup);
	free(stage->bpffs);
	free(stage);
}

bool ebpf_stage_is_plain(void)
{
	return getenv("SLUICE_TEST_PLAIN") != NULL;
}

struct ebpf_params ebpf_stage_params(const struct ebpf_stage *stage)
{
	return (struct ebpf_params){.cgroup_root = stage->cgroup,
				    .bpffs_root = stage->bpffs,
				    .is_plain = ebpf_stage_is_plain()};
}

socklen_t ebpf_sockaddr(const char *place, bool is_mapped, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)(void *)ret;
	struct addr addr;
	uint16_t port;

	assert_int_equal(addr_port_parse(place, &addr, &port), 0);
	if (!is_mapped)
		return addr_to_sockaddr(&addr, port, ret);
	*sin6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
	memcpy(&sin6->sin6_addr, addr.b, sizeof(sin6->sin6_addr));
	return sizeof(*sin6);
}

static int serve_one(int type, const char *place)
{
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(place, false, &sa);
	int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1024), 0);
	return fd;
}

int ebpf_listen(const char *place)
{
	int fd = serve_one(SOCK_STREAM, place);

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	return fd;
}

static void answer(int fd, bool is_stream, const char *name)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char buf[64];
	int peer;

	if (!is_stream) {
		if (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) >=
		    0)
			(void)sendto(fd, name, strlen(name), 0, (struct sockaddr *)&from,
				     len);
		return;
	}
	peer = accept(fd, NULL, NULL);
	if (peer < 0)
		return;
	(void)send(peer, name, strlen(name), MSG_NOSIGNAL);
	(void)close(peer);
}

static void serve(char *const *places, size_t n)
{
	struct pollfd fds[MAX_PLACES * 2];

	for (size_t i = 0; i < n * 2; i++)
		fds[i] = (struct pollfd){serve_one(i % 2 ? SOCK_DGRAM : SOCK_STREAM,
						   places[i / 2]),
					 POLLIN, 0};
	for (;;) {
		(void)poll(fds, n * 2, -1);
		for (size_t i = 0; i < n * 2; i++)
			if (fds[i].revents)
				answer(fds[i].fd, i % 2 == 0, places[i / 2]);
	}
}

void ebpf_stage_serve(const char *places)
{
	_cleanup_(freep) char *copy = xstrdup(places);
	char *items[MAX_PLACES], *save = NULL;
	size_t n = 0;

	for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		_cleanup_(freep) char *command = NULL;
		char text[ADDR_TEXT_LEN];
		struct addr addr;
		uint16_t port;

		items[n++] = p;
		assert_int_equal(addr_port_parse(p, &addr, &port), 0);
		command = xasprintf("ip addr add %s/%d dev lo nodad 2>/dev/null; true",
				    addr_format(&addr, text),
				    addr_family(&addr) == FAMILY_IPV4 ? 32 : 128);
		if (!addr_is_loopback(&addr))
			assert_int_equal(system(command), 0);
	}
	assert_int_equal(server, 0);
	server = fork();
	assert_true(server >= 0);
	if (server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(items, n);
		_exit(0);
	}
	for (size_t i = 0; i < n; i++)
		while (strcmp(ebpf_ask(SOCK_DGRAM, items[i]), items[i]) != 0)
			(void)usleep(1000);
}

const char *ebpf_ask_on(int fd, const char *place)
{
	static char buf[80];
	struct pollfd p = {fd, POLLIN, 0};
	struct sockaddr_storage sa;
	socklen_t len = place ? ebpf_sockaddr(place, false, &sa) : 0;
	ssize_t n;

	if (sendto(fd, "?", 1, MSG_NOSIGNAL, place ? (struct sockaddr *)&sa : NULL, len) <
	    0)
		return strerror(errno);
	if (poll(&p, 1, ANSWER_MS) == 0)
		return strerror(ETIMEDOUT);
	n = recv(fd, buf, sizeof(buf) - 1, 0);
	if (n < 0)
		return strerror(errno);
	buf[n] = '\0';
	return buf;
}

int ebpf_connect(int type, const char *place)
{
	struct sockaddr_storage sa;
	socklen_t len = ebpf_sockaddr(place, false, &sa);
	int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0), err;

	if (connect(fd, (const struct sockaddr *)&sa, len) == 0)
		return fd;
	err = -errno;
	(void)close(fd);
	return err;
}

const char *ebpf_ask(int type, const char *place)
{
	_cleanup_(closep) int fd = ebpf_connect(type, place);

	return fd < 0 ? strerror(-fd) : ebpf_ask_on(fd, NULL);
}

const char *ebpf_peer(int fd)
{
	static char text[ADDR_PORT_TEXT_LEN];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr addr;
	uint16_t port;

	if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0)
		return strerror(errno);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, &addr, &port), 0);
	return addr_port_format(&addr, port, text);
}
