/*
 * The cost of bringing Services into the maps of the eBPF plane: its sink
 * alone, in namespaces, a cgroup and a bpffs of its own. Prints rows for
 * bench/program.
 *
 *   bench_ebpf SERVICES ENDPOINTS
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/rows.h"
#include "bench/services.h"
#include "bench/sockets/home.h"
#include "bpf/ebpf.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define N_FULL	  10
#define N_CHANGES 2000

struct bench {
	struct rows_size size;
	struct services services;
	struct ebpf_params params;
	struct sink *sink;
};

static void open_sink(struct bench *b)
{
	_cleanup_(freep) char *why = NULL;
	int err = ebpf_sink_new(&b->params, &b->sink, &why);

	if (err != 0)
		rows_fail(err, "%s", why);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void apply(struct bench *b, const struct changeset *cs, struct row *row)
{
	uint64_t start_cpu_ns = cpu_ns(), start_us = samples_now_us();
	int err = sink_apply(b->sink, cs);

	if (err != 0)
		rows_fail(err, "apply");
	samples_add(&row->total, samples_now_us() - start_us);
	samples_add(&row->cpu, (cpu_ns() - start_cpu_ns) / 1000);
}

static void apply_all(struct bench *b, struct row *row)
{
	struct changeset all = services_all(&b->services);

	apply(b, &all, row);
}

static void apply_change(struct bench *b, const struct service *old,
			 const struct service *new, struct row *row)
{
	struct change change = {old, new};
	struct changeset cs = {.env = &b->services.env, .changes = &change, .n = 1};

	apply(b, &cs, row);
}

/* Each round with maps that are empty and have their first size. */
static void measure_cold_start(struct bench *b)
{
	struct row row = {0};
	unsigned n;

	for (unsigned i = 0; i < N_FULL; i++) {
		sink_close(b->sink);
		(void)ebpf_cleanup(&b->params, &n);
		open_sink(b);
		apply_all(b, &row);
	}
	rows_print(b->size, "ebpf: cold start", &row);
}

static void measure_unchanged(struct bench *b)
{
	struct row row = {0};

	for (unsigned i = 0; i < N_FULL; i++) {
		sink_close(b->sink);
		open_sink(b);
		apply_all(b, &row);
	}
	rows_print(b->size, "ebpf: unchanged", &row);
}

static void measure_endpoint_change(struct bench *b)
{
	struct row row = {0};

	for (uint32_t i = 0; i < N_CHANGES; i++) {
		struct change *at =
			&b->services.changes[(uint64_t)i * 7919 % b->services.n];
		struct service *old = (struct service *)at->new;
		uint32_t number = (uint32_t)(at - b->services.changes);

		at->new = services_make(&b->services, number, i + 1);
		apply_change(b, old, at->new, &row);
		service_unref(old);
	}
	rows_print(b->size, "ebpf: endpoint changed", &row);
}

/* One added, one deleted, in turn: an addition always follows a deletion. */
static void measure_add_and_delete(struct bench *b)
{
	struct row added = {0}, deleted = {0};

	for (uint32_t i = 0; i < N_CHANGES; i++) {
		struct service *s = services_make(&b->services, b->services.n + i, 0);

		apply_change(b, NULL, s, &added);
		apply_change(b, s, NULL, &deleted);
		service_unref(s);
	}
	rows_print(b->size, "ebpf: service added", &added);
	rows_print(b->size, "ebpf: service deleted", &deleted);
}

/* "memlock: N" of a map's fdinfo: the memory that the kernel has allocated for it. */
static double map_mb(int fd)
{
	_cleanup_(freep) char *path = xasprintf("/proc/self/fdinfo/%d", fd);
	_cleanup_(fclosep) FILE *file = fopen(path, "re");
	unsigned long long bytes = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		(void)sscanf(line, "memlock: %llu", &bytes);
	return (double)bytes / 1e6;
}

static void print_memory(const struct bench *b)
{
	static const char *const maps[] = {"frontends", "services", "slots",
					   "endpoints", "affinity", "connections"};
	double sum = 0;

	(void)printf("%6u x %-3u ebpf: maps, MB:", b->services.n,
		     b->services.n_endpoints);
	for (size_t i = 0; i < N_ELEMENTS(maps); i++) {
		_cleanup_(freep) char *path =
			xasprintf("%s/sluice/%s", b->params.bpffs_root, maps[i]);
		_cleanup_(closep) int fd = bpf_obj_get(path);
		double mb = map_mb(fd);

		sum += mb;
		(void)printf(" %s %.1f,", maps[i], mb);
	}
	(void)printf(" together %.1f; the process without them: %.1f\n", sum,
		     samples_memory_mb(0, "RssAnon:"));
}

int main(int argc, char **argv)
{
	struct bench b = {.size = rows_parse_size(argc, argv, 3, "")};

	home_enter();
	b.params.bpffs_root = home_bpffs();
	b.params.cgroup_root = home_cgroup("plain");
	services_init(&b.services, b.size.n_services, b.size.n_endpoints, false);
	measure_cold_start(&b);
	measure_unchanged(&b);
	measure_endpoint_change(&b);
	measure_add_and_delete(&b);
	print_memory(&b);
	sink_close(b.sink);
	services_fini(&b.services);
	return 0;
}
