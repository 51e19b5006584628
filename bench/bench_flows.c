/*
 * Deletes every other UDP flow of a conntrack table: time and memory, in a network
 * namespace of its own.  Then looks for TCP flows, of which there are none: the kernel
 * walks the table.  All network namespaces share it; each holds a limited number of
 * flows, so a large table is that of several.  Needs root and conntrack(8).
 *
 *   bench_flows FLOWS...
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/rows.h"
#include "core/cleanup.h"
#include "rules/conntrack/conntrack.h"

#define PORTS_EACH 50000 /* flows of one client */
#define FIRST_PORT 10000
#define FLOWS_EACH 250000 /* of one namespace: nf_conntrack_max may be 262144 */
#define MAX_SPACES 64

/* Flows of clients 203.0.x.y to 10.96.0.10:53, answered by 10.0.0.5. */
static void make_flows(unsigned long n)
{
	FILE *f = popen("conntrack -R - >/dev/null", "w");

	if (!f)
		rows_fail(-errno, "conntrack");
	for (unsigned long i = 0; i < n; i++) {
		unsigned long client = i / PORTS_EACH, port = FIRST_PORT + i % PORTS_EACH;

		(void)fprintf(f,
			      "-I -p udp -s 203.0.%lu.%lu -d 10.96.0.10 -r 10.0.0.5 -q "
			      "203.0.%lu.%lu --sport %lu --dport 53 --reply-port-src 53 "
			      "--reply-port-dst %lu -t 600 -u SEEN_REPLY,ASSURED\n",
			      client / 250, client % 250 + 1, client / 250,
			      client % 250 + 1, port, port);
	}
	if (pclose(f) != 0)
		rows_fail(-EIO, "conntrack -R");
}

static bool has_odd_port(void *data, const struct flow *flow)
{
	return flow->original.src_port % 2 == 1;
}

/* VmHWM starts again from the memory in use. */
static void reset_peak(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/clear_refs", "we");

	if (!f || fputs("5", f) < 0 || fflush(f) != 0)
		rows_fail(-errno, "clear_refs");
}

static uint64_t cpu_us(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == -1)
		rows_fail(-errno, "CPU clock");
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/*
 * The longest step delays the event loop.  Its CPU time does not count the other
 * programs of a busy machine.
 */
static void print_pass(const char *what, unsigned long n, struct conntrack *c,
		       enum conntrack_scope scope)
{
	const struct conntrack_pass pass = {
		.family = FAMILY_IPV4,
		.scope = scope,
		.is_unwanted = has_odd_port,
	};
	struct pollfd fd = {.fd = conntrack_fd(c), .events = POLLIN};
	uint64_t start_us = samples_now_us(), step_us = start_us, longest_us = 0;
	uint64_t longest_cpu_us = 0;
	double before_mb;
	int err;

	reset_peak();
	before_mb = samples_memory_mb(0, "VmRSS:");
	err = conntrack_prune(c, &pass);
	for (err = err ? err : -EINPROGRESS; err == -EINPROGRESS;) {
		uint64_t us = samples_now_us() - step_us;

		longest_us = us > longest_us ? us : longest_us;
		(void)poll(&fd, 1, -1);
		step_us = samples_now_us();
		us = cpu_us();
		err = conntrack_step(c);
		us = cpu_us() - us;
		longest_cpu_us = us > longest_cpu_us ? us : longest_cpu_us;
	}
	if (err < 0)
		rows_fail(err, "prune");
	printf("%10lu %-8s %10lu %12.1f %12.1f %12.1f %10.1f\n", n, what,
	       (unsigned long)conntrack_n_deleted(c), (double)longest_us / 1000,
	       (double)longest_cpu_us / 1000,
	       (double)(samples_now_us() - start_us) / 1000,
	       samples_memory_mb(0, "VmHWM:") - before_mb);
}

static void measure(unsigned long n)
{
	_cleanup_(conntrack_closep) struct conntrack *c = NULL;
	int spaces[MAX_SPACES], n_spaces = 0, err;

	for (unsigned long left = n; left && n_spaces < MAX_SPACES;) {
		unsigned long now = left < FLOWS_EACH ? left : FLOWS_EACH;

		if (unshare(CLONE_NEWNET) == -1)
			rows_fail(-errno, "network namespace");
		spaces[n_spaces++] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		make_flows(now);
		left -= now;
	}
	err = conntrack_open(&c);
	if (err < 0)
		rows_fail(err, "conntrack");
	print_pass("UDP", n, c, CONNTRACK_UDP);
	print_pass("opening", n, c, CONNTRACK_OPENING);
	while (n_spaces > 0)
		(void)close(spaces[--n_spaces]);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		(void)fputs("usage: bench_flows FLOWS...\n", stderr);
		return 2;
	}
	printf("%10s %-8s %10s %12s %12s %12s %10s\n", "flows", "pass", "deleted",
	       "longest ms", "CPU ms", "all ms", "peak MB");
	for (int i = 1; i < argc; i++)
		measure(strtoul(argv[i], NULL, 10));
	return 0;
}
