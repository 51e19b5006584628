#include "bench/rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/workload.h"

struct rows_size rows_parse_size(int argc, char **argv, int n, const char *usage)
{
	unsigned long services = argc == n ? strtoul(argv[n - 2], NULL, 10) : 0;
	unsigned long endpoints = argc == n ? strtoul(argv[n - 1], NULL, 10) : 0;

	if (services == 0 || services > WORKLOAD_MAX_SERVICES || endpoints == 0 ||
	    endpoints > WORKLOAD_MAX_ENDPOINTS / services) {
		(void)fprintf(stderr, "usage: %s %sSERVICES ENDPOINTS\n", argv[0], usage);
		exit(2);
	}
	return (struct rows_size){(uint32_t)services, (uint32_t)endpoints};
}

static void print_start(struct rows_size size)
{
	(void)printf("%6u x %-3u ", size.n_services, size.n_endpoints);
}

static void print_cell(struct samples *us)
{
	if (us->n == 0)
		(void)printf(" %17s", "-");
	else
		(void)printf(" %8.3f/%8.3f", (double)samples_quantile(us, 0.5) / 1000,
			     (double)samples_quantile(us, 0.99) / 1000);
	samples_fini(us);
}

void rows_print(struct rows_size size, const char *what, struct row *row)
{
	print_start(size);
	(void)printf("%-22s %4zu", what, row->total.n);
	print_cell(&row->plan);
	print_cell(&row->readback);
	print_cell(&row->build);
	print_cell(&row->kernel);
	print_cell(&row->total);
	if (row->cpu.n > 0) {
		(void)printf("  cpu");
		print_cell(&row->cpu);
	}
	(void)printf("\n");
	(void)fflush(stdout);
}

void rows_note(struct rows_size size, const char *fmt, ...)
{
	va_list ap;

	print_start(size);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)printf("\n");
}

void rows_fail(int err, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, ": %s\n", strerror(-err));
	exit(1);
}
