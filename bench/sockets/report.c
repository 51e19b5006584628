#include "bench/sockets/report.h"

#include <stdio.h>
#include <stdlib.h>

#define LOWEST_QUARTILE 0.25

void cell_add(struct cell *c, const struct traffic_result *r, unsigned n)
{
	samples_add(&c->cpu, r->cpu_ns / n);
	samples_add(&c->rate, n * UINT64_C(1000000000) / (r->wall_ns ? r->wall_ns : 1));
}

void cell_fini(struct cell *c)
{
	samples_fini(&c->cpu);
	samples_fini(&c->rate);
	samples_fini(&c->latency);
}

void report_header(uint32_t n_services, uint32_t n_endpoints, const char *client,
		   size_t n_rounds)
{
	(void)printf("\n%u Services x %u, client: %s, %zu rounds\n", n_services,
		     n_endpoints, client, n_rounds);
	(void)printf("%-22s %-22s %9s %9s %10s %9s %9s\n", "", "", "CPU us", "of direct",
		     "per second", "p50 us", "p99 us");
}

static double us(struct samples *ns, double q)
{
	return (double)samples_quantile(ns, q) / 1000;
}

void report_row(const char *operation, const char *candidate, struct cell *c,
		struct cell *direct)
{
	double cpu = us(&c->cpu, LOWEST_QUARTILE);

	(void)printf("%-22s %-22s %9.2f %9.3f %10llu %9.1f %9.1f\n", operation, candidate,
		     cpu, us(&direct->cpu, LOWEST_QUARTILE) / cpu,
		     (unsigned long long)samples_quantile(&c->rate, 0.5),
		     us(&c->latency, 0.5), us(&c->latency, 0.99));
	(void)fflush(stdout);
}

void report_load(const char *when)
{
	double load[3] = {0};

	(void)getloadavg(load, 3);
	(void)printf("load        %.2f %.2f %.2f %s\n", load[0], load[1], load[2], when);
}
