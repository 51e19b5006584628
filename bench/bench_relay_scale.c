/*
 * Many Services in userspace mode, with the program as users run it, on manifests on
 * disk, in a network namespace of its own.
 *
 *   bench_relay_scale SLUICE SERVICES ENDPOINTS ROUNDS
 *
 * start     from exec until a connection to the last Service is answered
 * memory    of the daemon then, and its peak
 * change    the only endpoint of the last Service is replaced: from the renamed file
 *           until a connection reaches the new one; so with reading and planning
 *
 * This process is the endpoint at all addresses, and answers
 * with the one that was asked.
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/folder.h"
#include "bench/workload.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/thread.h"

#define N_CHANGES   40
#define PATIENCE_US 60000000
#define PAUSE_US    50000 /* between changes, so that none waits for the last */
#define RESERVED    512	  /* descriptors that are not for listeners */

struct bench {
	const char *program, *folder;
	const char *workers; /* --userspace-workers */
	struct rows_size size;
	struct samples starts, changes, memory, peak;
	struct samples start_cpu, change_cpu; /* of the daemon, all threads */
};

/* ---- the endpoint ---- */

static void *serve(void *data)
{
	int listener = *(const int *)data;

	for (;;) {
		_cleanup_(closep) int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		struct sockaddr_in own = {0};
		socklen_t len = sizeof(own);

		if (fd >= 0 && getsockname(fd, (struct sockaddr *)&own, &len) == 0)
			(void)send(fd, &own.sin_addr, sizeof(own.sin_addr), MSG_NOSIGNAL);
	}
	return NULL;
}

static void start_endpoint(void)
{
	static int listener;
	const struct sockaddr_in all = {.sin_family = AF_INET,
					.sin_port = htons(WORKLOAD_TARGET_PORT)};
	pthread_t thread;
	int err;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (const struct sockaddr *)&all, sizeof(all)) == -1 ||
	    listen(listener, SOMAXCONN) == -1)
		rows_fail(-errno, "the endpoint");
	err = thread_start(&thread, serve, &listener);
	if (err)
		rows_fail(err, "the endpoint");
}

/* ---- the client ---- */

/* True: the last Service answered from this version of its endpoint. */
static bool answers(const struct bench *b, uint32_t version)
{
	struct addr ip = workload_cluster_ip(b->size.n_services - 1);
	struct addr wanted = workload_endpoint(b->size.n_services - 1, 0, 1, version);
	struct sockaddr_storage at, endpoint;
	socklen_t len = addr_to_sockaddr(&ip, WORKLOAD_PORT, &at);
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct in_addr answer = {0};

	(void)addr_to_sockaddr(&wanted, WORKLOAD_TARGET_PORT, &endpoint);
	return connect(fd, (const struct sockaddr *)&at, len) == 0 &&
	       recv(fd, &answer, sizeof(answer), MSG_WAITALL) == sizeof(answer) &&
	       answer.s_addr == ((struct sockaddr_in *)&endpoint)->sin_addr.s_addr;
}

/* Returns the time since start_us. */
static uint64_t await_answer(const struct bench *b, uint32_t version, uint64_t start_us)
{
	while (!answers(b, version)) {
		if (samples_now_us() - start_us > PATIENCE_US)
			rows_fail(-ETIMEDOUT, "the last Service is not served");
		(void)usleep(200);
	}
	return samples_now_us() - start_us;
}

/* ---- the program ---- */

static pid_t start_program(const struct bench *b)
{
	_cleanup_(freep) char *socket = xasprintf("%s/sluice.sock", b->folder);
	const char *argv[] = {
		b->program,
		"run",
		"--manifests",
		b->folder,
		"--hostname-override",
		WORKLOAD_NODE_NAME,
		"--proxy-mode",
		"userspace",
		"--userspace-workers",
		b->workers,
		"--bpffs-root",
		b->folder,
		"--cluster-cidr",
		WORKLOAD_POD_CIDR,
		"--control-socket",
		socket,
		"--healthz-bind-address",
		"",
		"--metrics-bind-address",
		"",
		NULL,
	};
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == -1)
		rows_fail(-errno, "fork");
	if (pid > 0)
		return pid;
	folder_exec(b->program, argv);
}

static uint64_t cpu_us(pid_t pid)
{
	_cleanup_(freep) char *path = xasprintf("/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	const struct dirent *entry;
	uint64_t sum = 0;

	while (tasks && (entry = readdir(tasks))) {
		_cleanup_(freep) char *name =
			xasprintf("%s/%s/schedstat", path, entry->d_name);
		_cleanup_(fclosep) FILE *f = fopen(name, "re");
		unsigned long long ns;

		/* that of ".." is the main thread's again */
		if (*entry->d_name != '.' && f && fscanf(f, "%llu", &ns) == 1)
			sum += ns / 1000;
	}
	if (tasks)
		(void)closedir(tasks);
	return sum;
}

/* It has one endpoint, so that each connection shows which one. */
static struct rows_size last_of(const struct bench *b)
{
	return (struct rows_size){b->size.n_services, 1};
}

static void measure_round(struct bench *b)
{
	uint64_t start_us, start_cpu_us;
	pid_t pid;

	folder_write_last(b->folder, last_of(b), 0);
	start_us = samples_now_us();
	pid = start_program(b);
	samples_add(&b->starts, await_answer(b, 0, start_us));
	start_cpu_us = cpu_us(pid);
	samples_add(&b->start_cpu, start_cpu_us);
	samples_add(&b->memory, (uint64_t)(samples_memory_mb(pid, "VmRSS:") * 1000));
	samples_add(&b->peak, (uint64_t)(samples_memory_mb(pid, "VmHWM:") * 1000));
	for (uint32_t i = 0; i < N_CHANGES; i++) {
		(void)usleep(PAUSE_US);
		start_us = samples_now_us();
		folder_write_last(b->folder, last_of(b), i + 1);
		samples_add(&b->changes, await_answer(b, i + 1, start_us));
	}
	samples_add(&b->change_cpu, (cpu_us(pid) - start_cpu_us) / N_CHANGES);
	(void)kill(pid, SIGTERM);
	(void)waitpid(pid, NULL, 0);
}

/* ---- all of it ---- */

/* All addresses of endpoints are those of this host. */
static void enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) == -1)
		rows_fail(-errno, "a network namespace");
	if (system("ip link set lo up && ip route add local 10.128.0.0/9 dev lo") != 0)
		rows_fail(-EINVAL, "addresses of endpoints");
}

/*
 * A listener takes a descriptor, and up to half of them are for listeners. While they
 * take less than a quarter each Service has one for each worker.
 */
static void fit_descriptors(struct bench *b)
{
	struct rlimit limit = {0};
	uint64_t n, n_workers = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);

	(void)getrlimit(RLIMIT_NOFILE, &limit); /* cannot fail */
	n = limit.rlim_cur > RESERVED ? limit.rlim_cur - RESERVED : 4;
	if (n / 4 + n / 4 / n_workers >= b->size.n_services)
		return;
	b->workers = "1";
	if (n / 2 < b->size.n_services)
		b->size.n_services = (uint32_t)(n / 2);
	(void)printf("%llu descriptors: %u Services, one worker\n",
		     (unsigned long long)limit.rlim_cur, b->size.n_services);
}

/* Thousandths of the unit that is printed. */
static void print_row(const char *what, struct samples *values)
{
	(void)printf("%-28s %.2f (%.2f-%.2f), p99 %.2f, of %zu\n", what,
		     (double)samples_quantile(values, 0.5) / 1000,
		     (double)samples_quantile(values, 0) / 1000,
		     (double)samples_quantile(values, 1) / 1000,
		     (double)samples_quantile(values, 0.99) / 1000, values->n);
	samples_fini(values);
}

int main(int argc, char **argv)
{
	char template[] = "/tmp/sluice-bench.XXXXXX";
	unsigned long rounds = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
	struct bench b = {.workers = "0",
			  .size = rows_parse_size(argc - 1, argv, 4, "SLUICE ")};

	if (rounds == 0)
		rows_fail(-EINVAL, "rounds");
	b.program = argv[1];
	fit_descriptors(&b);
	if (!mkdtemp(template))
		rows_fail(-errno, "%s", template);
	b.folder = template;
	enter_namespace();
	start_endpoint();
	folder_write_rest(b.folder, b.size);
	for (unsigned long i = 0; i < rounds; i++)
		measure_round(&b);
	(void)printf("%u Services x %u, median (lowest-highest)\n", b.size.n_services,
		     b.size.n_endpoints);
	print_row("start, ms", &b.starts);
	print_row("the same, CPU ms", &b.start_cpu);
	print_row("RSS, MB", &b.memory);
	print_row("peak RSS, MB", &b.peak);
	print_row("one change, ms", &b.changes);
	print_row("the same, CPU ms", &b.change_cpu);
	folder_remove(b.folder, b.size);
	return 0;
}
