/*
 * /proc/self/stat has fields after the program's name, which may hold blanks
 * and parentheses itself: they are counted from the last ')'.  See proc(5).
 */
#include "proxy/http/process_metrics.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/http/exposition.h"

struct process {
	double cpu_sec, start_sec, rss_bytes, vm_bytes;
};

static double boot_time_sec(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/stat", "re");
	unsigned long long sec = 0;
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "btime %llu", &sec) == 1)
			break;
	return (double)sec;
}

static bool read_process(struct process *ret)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/stat", "re");
	unsigned long long utime, stime, start, vm;
	double ticks = (double)sysconf(_SC_CLK_TCK);
	char line[4096];
	const char *rest;
	long rss;

	if (!f || !fgets(line, sizeof(line), f) || !(rest = strrchr(line, ')')))
		return false;
	/* 3 state … 14 utime 15 stime … 22 starttime 23 vsize 24 rss */
	if (sscanf(rest + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
		   "%*d %*d %*d "
		   "%llu %llu %ld",
		   &utime, &stime, &start, &vm, &rss) != 5)
		return false;
	ret->cpu_sec = ((double)utime + (double)stime) / ticks;
	ret->start_sec = boot_time_sec() + (double)start / ticks;
	ret->vm_bytes = (double)vm;
	ret->rss_bytes = (double)rss * (double)sysconf(_SC_PAGESIZE);
	return true;
}

static double count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	double n = -1; /* the one that reads the folder */

	if (!folder)
		return 0;
	for (const struct dirent *e; (e = readdir(folder));)
		n += *e->d_name != '.';
	(void)closedir(folder);
	return n;
}

static void add_limit(struct buf *out, int resource, const char *name, const char *help)
{
	struct rlimit limit;

	/* "unlimited" is the largest number there is, as Go's client has it */
	if (getrlimit(resource, &limit) == 0)
		exposition_value(out, name, "gauge", help, (double)limit.rlim_cur);
}

void process_metrics_write(struct buf *out)
{
	struct process p;

	if (read_process(&p)) {
		exposition_value(out, "process_cpu_seconds_total", "counter",
				 "Total user and system CPU time spent in seconds.",
				 p.cpu_sec);
		exposition_value(out, "process_resident_memory_bytes", "gauge",
				 "Resident memory size in bytes.", p.rss_bytes);
		exposition_value(out, "process_virtual_memory_bytes", "gauge",
				 "Virtual memory size in bytes.", p.vm_bytes);
		exposition_value(out, "process_start_time_seconds", "gauge",
				 "Start time of the process since unix epoch in seconds.",
				 p.start_sec);
	}
	exposition_value(out, "process_open_fds", "gauge",
			 "Number of open file descriptors.", count_fds());
	add_limit(out, RLIMIT_NOFILE, "process_max_fds",
		  "Maximum number of open file descriptors.");
	add_limit(out, RLIMIT_AS, "process_virtual_memory_max_bytes",
		  "Maximum amount of virtual memory available in bytes.");
}
