/*
 * The cost of bringing objects from memory into the kernel: planning,
 * building the netlink messages, and the kernel's own part, in a network
 * namespace of its own.  Prints rows for bench/program.
 *
 *   bench_program SERVICES ENDPOINTS
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/rows.h"
#include "bench/services.h"
#include "bench/workload.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/sink_set.h"
#include "rules/nft/nft.h"
#include "watchers/cluster.h"
#include "watchers/files/manifest.h"
#include "watchers/plan/plan.h"

#define N_SMALL_CHANGES 200
#define FULL_BUDGET_US	20000000 /* for the rounds of one kind of full apply */
#define N_FULL_MAX	20
#define N_FULL_MIN	3
#define PAUSE_US	100000

struct bench {
	struct rows_size size;
	struct cluster *cluster;
	struct state *state;
	struct sink *sink;
	struct environment env;
	struct nodeport_addresses nodeports;
	struct plan_options options;
};

static void on_rejection(void *data, const struct rejection *r)
{
	rows_fail(-EINVAL, "%s: %s", r->field, r->reason);
}

static const struct reject reject = {.call = on_rejection};

/* ---- objects ---- */

struct object_sink {
	struct object *last;
	struct cluster *cluster; /* NULL: only remember the last one */
};

static void take_object(void *data, struct object *object)
{
	struct object_sink *to = data;

	if (to->cluster)
		(void)cluster_put(to->cluster, object);
	else
		to->last = object;
}

static void decode(const struct buf *text, struct object_sink *to)
{
	_cleanup_(freep) char *error = NULL;
	struct manifest m;
	int err;

	manifest_init(&m, "bench", &reject, take_object, to);
	err = manifest_feed(&m, text->data, text->len);
	if (err == 0)
		err = manifest_finish(&m, &error);
	if (err < 0)
		rows_fail(err, "objects");
	manifest_fini(&m);
}

static struct object *make_service(uint32_t service)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct object_sink to = {0};

	workload_add_service(&text, service);
	decode(&text, &to);
	return to.last;
}

static struct object *make_slice(const struct bench *b, uint32_t service,
				 uint32_t version)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct object_sink to = {0};

	workload_add_slice(&text, service, b->size.n_endpoints, version);
	decode(&text, &to);
	return to.last;
}

/* A piece at a time, so that the text of all of them is never there. */
static void fill_cluster(struct bench *b)
{
	struct object_sink to = {.cluster = b->cluster};
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	for (uint32_t first = 0; first < b->size.n_services; first += 1000) {
		uint32_t end = first + 1000;

		buf_clear(&text);
		workload_add_list(&text, first,
				  end < b->size.n_services ? end : b->size.n_services,
				  b->size.n_endpoints);
		decode(&text, &to);
	}
}

/* ---- one sync ---- */

/* start_us: when the change was made. */
static void sync_changes(struct bench *b, bool full, uint64_t start_us, struct row *m)
{
	struct state_taken taken;
	struct changeset cs;
	struct nft_stats stats;
	uint64_t planned_us;
	int err;

	while (cluster_n_dirty(b->cluster) > 0)
		(void)plan_dirty(b->cluster, &b->options, b->state, SIZE_MAX);
	taken = state_take(b->state, full);
	cs = (struct changeset){.full = taken.full,
				.env = &b->env,
				.changes = taken.changes,
				.n = taken.n};
	planned_us = samples_now_us();
	err = sink_apply(b->sink, &cs);
	if (err < 0)
		rows_fail(err, "apply");
	samples_add(&m->total, samples_now_us() - start_us);
	state_taken_fini(&taken);
	stats = nft_sink_stats(b->sink);
	samples_add(&m->plan, planned_us - start_us);
	samples_add(&m->build, stats.last_build_us);
	samples_add(&m->kernel, stats.last_kernel_us);
	if (full)
		samples_add(&m->readback, stats.last_readback_us);
}

static void open_sink(struct bench *b)
{
	int err = nft_sink_new(&b->sink);

	if (err < 0)
		rows_fail(err, "nf_tables");
}

static bool is_another_round(const struct row *m, uint64_t start_us)
{
	if (m->total.n < N_FULL_MIN)
		return true;
	return m->total.n < N_FULL_MAX && samples_now_us() - start_us < FULL_BUDGET_US;
}

/* ---- measurements ---- */

/*
 * Each round in a namespace that never had a rule.  The kernel takes the last
 * one apart in the background: a pause, so that it doesn't count in this one.
 */
static void measure_cold_start(struct bench *b)
{
	struct row m = {0};
	uint64_t begin_us = samples_now_us();

	while (is_another_round(&m, begin_us)) {
		if (b->sink)
			sink_close(b->sink);
		if (unshare(CLONE_NEWNET) == -1)
			rows_fail(-errno, "a network namespace of its own");
		if (m.total.n > 0)
			(void)usleep(PAUSE_US + 20 * b->size.n_services);
		state_free(b->state);
		b->state = state_new();
		cluster_mark_all(b->cluster);
		open_sink(b);
		sync_changes(b, true, samples_now_us(), &m);
	}
	rows_print(b->size, "cold start", &m);
}

/* A restart with nothing changed: a new sink reads back and finds all in place. */
static void measure_unchanged(struct bench *b)
{
	struct row m = {0};
	uint64_t begin_us = samples_now_us();

	while (is_another_round(&m, begin_us)) {
		sink_close(b->sink);
		open_sink(b);
		sync_changes(b, true, samples_now_us(), &m);
	}
	rows_print(b->size, "restart, unchanged", &m);
}

static void measure_endpoint_change(struct bench *b)
{
	struct row m = {0};

	for (uint32_t i = 0; i < N_SMALL_CHANGES; i++) {
		struct object *slice =
			make_slice(b, i * 7919 % b->size.n_services, i + 1);
		uint64_t start_us = samples_now_us();

		(void)cluster_put(b->cluster, slice);
		sync_changes(b, false, start_us, &m);
	}
	rows_print(b->size, "one endpoint changed", &m);
}

/* ---- one refused service among all ---- */

struct picky { /* refuses one service, and passes all other changes on */
	struct sink sink;
	struct sink *inner;
	const char *refused; /* name; NULL: none */
};

static int picky_apply(struct sink *sink, const struct changeset *cs)
{
	const struct picky *picky = container_of(sink, struct picky, sink);
	_cleanup_(freep) struct change *changes = xcalloc(cs->n + 1, sizeof(*changes));
	struct changeset passed = *cs;
	size_t n_refused = 0;
	int err = 0;

	passed.changes = changes;
	passed.n = 0;
	for (size_t i = 0; i < cs->n; i++) {
		const struct service *new = cs->changes[i].new;

		if (new && picky->refused && !strcmp(service_name(new), picky->refused)) {
			changeset_refuse(cs, new, NULL);
			n_refused++;
		} else {
			changes[passed.n++] = cs->changes[i];
		}
	}
	if (passed.full || passed.n)
		err = sink_apply(picky->inner, &passed);
	return err ? err : n_refused ? -EREMOTEIO : 0;
}

static uint64_t set_now_us(void *data)
{
	return samples_now_us();
}

static void apply_by_set(struct bench *b, struct sink_set *set, bool full)
{
	struct state_taken taken;
	int err;

	(void)plan_dirty(b->cluster, &b->options, b->state, SIZE_MAX);
	taken = state_take(b->state, full);
	err = sink_set_apply(set,
			     &(struct changeset){.full = full,
						 .env = &b->env,
						 .changes = taken.changes,
						 .n = taken.n},
			     0)
		      .err;
	if (err && err != -EREMOTEIO)
		rows_fail(err, "apply");
	state_taken_fini(&taken);
}

/* As in the daemon: the refused one is retried meanwhile. */
static void measure_with_refused(struct bench *b, const char *refused, const char *what)
{
	static const struct sink_ops ops = {.name = "nftables", .apply = picky_apply};
	struct picky picky = {
		.sink = {.ops = &ops, .is_vital = true},
		.inner = b->sink,
		.refused = refused,
	};
	struct dataplane dp = {.sinks = {&picky.sink}, .n_sinks = 1};
	struct sink_set set = {
		.dataplane = &dp,
		.state = b->state,
		.now_us = set_now_us,
	};
	struct row m = {0};

	sink_set_init(&set, 50000, 30000000);
	apply_by_set(b, &set, true);
	for (uint32_t i = 0; i < N_SMALL_CHANGES; i++) {
		struct object *slice =
			make_slice(b, 1 + i * 7919 % (b->size.n_services - 1),
				   i + (refused ? 3 : 2));
		uint64_t start_us = samples_now_us();

		(void)cluster_put(b->cluster, slice);
		apply_by_set(b, &set, false);
		samples_add(&m.total, samples_now_us() - start_us);
	}
	rows_print(b->size, what, &m);
	sink_set_fini(&set);
}

static void measure_add_and_delete(struct bench *b)
{
	struct row added = {0}, deleted = {0};
	char ns[32], name[32], slice_name[40];

	for (uint32_t i = 0; i < N_SMALL_CHANGES; i++) {
		uint32_t number = b->size.n_services + i;
		struct object *service = make_service(number);
		struct object *slice = make_slice(b, number, 0);
		uint64_t start_us = samples_now_us();

		(void)cluster_put(b->cluster, service);
		(void)cluster_put(b->cluster, slice);
		sync_changes(b, false, start_us, &added);
		(void)snprintf(ns, sizeof(ns), "ns-%u", number % 50);
		(void)snprintf(name, sizeof(name), "svc-%u", number);
		(void)snprintf(slice_name, sizeof(slice_name), "%s-x7k2p", name);
		start_us = samples_now_us();
		(void)cluster_del(b->cluster, OBJECT_SERVICE, ns, name);
		(void)cluster_del(b->cluster, OBJECT_SLICE, ns, slice_name);
		sync_changes(b, false, start_us, &deleted);
	}
	rows_print(b->size, "one service added", &added);
	rows_print(b->size, "one service deleted", &deleted);
}

static void init(struct bench *b)
{
	_cleanup_(freep) char *error = NULL;
	int err = nodeport_addresses_parse(NULL, 0, &b->nodeports, &error);

	if (err < 0)
		rows_fail(err, "node port addresses");
	b->env = services_environment();
	b->options = (struct plan_options){
		.node_name = WORKLOAD_NODE_NAME,
		.detector = POD_DETECTOR_CIDR,
		.has_detector = {true, false},
		.use_node_hints = true,
		.allow_external_ips = true,
		.nodeports = &b->nodeports,
	};
	b->cluster = cluster_new(WORKLOAD_NODE_NAME);
	b->state = state_new();
}

static void fini(struct bench *b)
{
	sink_close(b->sink);
	state_free(b->state);
	cluster_free(b->cluster);
	nodeport_addresses_fini(&b->nodeports);
}

int main(int argc, char **argv)
{
	struct bench b = {.size = rows_parse_size(argc, argv, 3, "")};

	init(&b);
	fill_cluster(&b);
	measure_cold_start(&b);
	measure_unchanged(&b);
	measure_endpoint_change(&b);
	if (b.size.n_services > 1) { /* the first one is refused, another one changes */
		measure_with_refused(&b, NULL, "the same, by sink_set");
		measure_with_refused(&b, "svc-0", "with one refused");
	}
	measure_add_and_delete(&b);
	rows_note(b.size, "memory: %.1f MB, at most %.1f MB (all rounds in one process)",
		  samples_memory_mb(0, "VmRSS:"), samples_memory_mb(0, "VmHWM:"));
	fini(&b);
	return 0;
}
