/*
 * Deletes every other flow of a conntrack table: time and memory, in a network
 * namespace of its own.  Needs root and conntrack(8).
 *
 *   bench_flows FLOWS...
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rows.h"
#include "core/cleanup.h"
#include "rules/conntrack/conntrack.h"

#define PORTS_EACH 50000 /* flows of one client */
#define FIRST_PORT 10000

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

/* One row; a call that has no time to repeat its dump is followed by another one. */
static void measure(unsigned long n)
{
	uint64_t n_deleted = 0, start_us, longest_us = 0, total_us = 0;
	unsigned int n_calls = 0;
	double before_mb;
	int err = -EAGAIN;

	if (unshare(CLONE_NEWNET) == -1)
		rows_fail(-errno, "network namespace");
	make_flows(n);
	reset_peak();
	before_mb = samples_memory_mb(0, "VmRSS:");
	while (err == -EAGAIN) {
		uint64_t n_now = 0, us;

		start_us = samples_now_us();
		err = conntrack_prune(FAMILY_IPV4, CONNTRACK_UDP, has_odd_port, NULL,
				      &n_now);
		us = samples_now_us() - start_us;
		longest_us = us > longest_us ? us : longest_us;
		total_us += us;
		n_deleted += n_now;
		n_calls++;
	}
	if (err < 0)
		rows_fail(err, "prune");
	printf("%10lu %10lu %6u %12.1f %12.1f %10.1f\n", n, (unsigned long)n_deleted,
	       n_calls, (double)longest_us / 1000, (double)total_us / 1000,
	       samples_memory_mb(0, "VmHWM:") - before_mb);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		(void)fputs("usage: bench_flows FLOWS...\n", stderr);
		return 2;
	}
	printf("%10s %10s %6s %12s %12s %10s\n", "flows", "deleted", "calls",
	       "longest ms", "all ms", "peak MB");
	for (int i = 1; i < argc; i++)
		measure(strtoul(argv[i], NULL, 10));
	return 0;
}
