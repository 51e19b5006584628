#include "bench/sockets/report.h"

#include <stdio.h>
#include <stdlib.h>

#define RATIO_UNIT 1000000

void cell_add(struct cell *c, const struct traffic_result *r,
	      const struct traffic_result *direct, unsigned n)
{
	samples_add(&c->cpu, r->cpu_ns / n);
	samples_add(&c->rate, n * UINT64_C(1000000000) / (r->wall_ns ? r->wall_ns : 1));
	samples_add(&c->ratio, direct->cpu_ns * RATIO_UNIT / (r->cpu_ns ? r->cpu_ns : 1));
}

void cell_fini(struct cell *c)
{
	samples_fini(&c->cpu);
	samples_fini(&c->rate);
	samples_fini(&c->ratio);
	samples_fini(&c->latency);
}

void report_header(uint32_t n_services, uint32_t n_endpoints, const char *client,
		   unsigned n_rounds)
{
	(void)printf("\n%u Services x %u, client: %s, %u rounds\n", n_services,
		     n_endpoints, client, n_rounds);
	(void)printf("%-22s %-24s %7s %9s %13s %10s %7s %7s\n", "", "", "CPU us",
		     "of direct", "quartiles", "per second", "p50 us", "p99 us");
}

static double us(struct samples *ns, double q)
{
	return (double)samples_quantile(ns, q) / 1000;
}

static double ratio(struct cell *c, double q)
{
	return (double)samples_quantile(&c->ratio, q) / RATIO_UNIT;
}

void report_row(const char *operation, const char *candidate, struct cell *c)
{
	(void)printf("%-22s %-24s %7.2f %9.3f  %.3f-%.3f %10llu %7.1f %7.1f\n", operation,
		     candidate, us(&c->cpu, 0.25), ratio(c, 0.5), ratio(c, 0.25),
		     ratio(c, 0.75), (unsigned long long)samples_quantile(&c->rate, 0.5),
		     us(&c->latency, 0.5), us(&c->latency, 0.99));
	(void)fflush(stdout);
}

void report_load(const char *when)
{
	double load[3] = {0};

	(void)getloadavg(load, 3);
	(void)printf("load        %.2f %.2f %.2f %s\n", load[0], load[1], load[2], when);
}
