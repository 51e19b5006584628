#include "tests/unit/sync_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"

static bool is_refused(const struct tape *tape, const struct service *service)
{
	return tape->refuses && service &&
	       strcmp(service_name(service), tape->refuses) == 0;
}

static int tape_apply(struct sink *sink, const struct changeset *cs)
{
	struct tape *tape = container_of(sink, struct tape, sink);
	int err = tape->answer;

	if (tape->n_disturbed) {
		tape->n_disturbed--;
		tape->is_disturbed = true;
	}
	assert_true(tape->n_notes < MAX_NOTES);
	assert_non_null(cs->env);
	tape->notes[tape->n_notes++] = (struct note){
		.full = cs->full,
		.n = cs->n,
		.has_old = cs->n && cs->changes[0].old,
		.n_node_changes = cs->n_node_changes,
		.at_us = tape->world->now_us,
	};
	for (size_t i = 0; !err && i < cs->n; i++)
		if (is_refused(tape, cs->changes[i].new)) {
			changeset_refuse(cs, cs->changes[i].new, "add x: File exists");
			err = -EREMOTEIO;
		}
	return err;
}

static void tape_close(struct sink *sink)
{
	struct tape *tape = container_of(sink, struct tape, sink);

	if (tape->fd != -1)
		(void)close(tape->fd);
	(void)close(tape->work_fd);
	free(tape);
}

static int tape_fd(const struct sink *sink)
{
	return container_of((struct sink *)(uintptr_t)sink, struct tape, sink)->fd;
}

static bool tape_check(struct sink *sink)
{
	struct tape *tape = container_of(sink, struct tape, sink);
	bool is_changed = tape->is_disturbed;
	uint64_t n;

	tape->is_disturbed = false;
	return is_changed || (tape->fd != -1 && read(tape->fd, &n, sizeof(n)) > 0);
}

static int tape_work_fd(const struct sink *sink)
{
	return container_of((struct sink *)(uintptr_t)sink, struct tape, sink)->work_fd;
}

static int tape_work(struct sink *sink)
{
	struct tape *tape = container_of(sink, struct tape, sink);
	uint64_t n;

	assert_int_equal(read(tape->work_fd, &n, sizeof(n)), sizeof(n));
	return tape->work_answer;
}

static const struct sink_ops tape_ops = {
	.name = "tape",
	.apply = tape_apply,
	.close = tape_close,
	.fd = tape_fd,
	.check = tape_check,
	.work_fd = tape_work_fd,
	.work = tape_work,
};

static struct tape *tape_add(struct sync_world *w, struct tape *after)
{
	struct tape *tape = xcalloc(1, sizeof(*tape));

	tape->sink.ops = &tape_ops;
	tape->sink.after = after ? &after->sink : NULL;
	tape->sink.is_vital = !after;
	tape->world = w;
	tape->fd = after ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	tape->work_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	dataplane_add(&w->dataplane, &tape->sink);
	return tape;
}

static void on_ran(void *data, const struct sync_run *run)
{
	struct sync_world *w = data;

	(void)run;
	w->n_ran++;
}

static void on_refused(void *data, const struct sink *sink, const struct service *service,
		       const char *why)
{
	struct sync_world *w = data;

	assert_string_equal(sink->ops->name, "tape");
	buf_printf(&w->refused, "%s%s%s;", service_name(service), why ? ": " : " served",
		   why ? why : "");
}

static void on_repaired(void *data, const struct sink_repair *repair)
{
	struct sync_world *w = data;

	w->n_repaired++;
	assert_string_equal(repair->by, "another process");
}

static uint64_t clock_us(void *data, clockid_t clock)
{
	const struct sync_world *w = data;

	return w->now_us + (clock == CLOCK_REALTIME ? w->wall_us : 0);
}

/* The shortest of the waits that jitter allows: half of each. */
static uint64_t no_random(void *data)
{
	(void)data;
	return 0;
}

int sync_world_setup(void **state)
{
	struct sync_world *w = xcalloc(1, sizeof(*w));

	world_open(&w->base);
	w->now_us = 1000 * SEC;
	config_init(&w->config);
	w->config.audit_period_ns = 0;
	w->cluster = cluster_new("node-0");
	node_info_init(&w->node_info, &w->config, "node-0");
	w->dataplane.mode = "tape";
	w->first = tape_add(w, NULL);
	w->second = tape_add(w, w->first);
	w->third = tape_add(w, w->first);
	*state = w;
	return 0;
}

void sync_world_make(struct sync_world *w)
{
	w->sync = sync_new(&(struct sync_params){
		.loop = w->base.loop,
		.config = &w->config,
		.cluster = w->cluster,
		.node_info = &w->node_info,
		.dataplane = &w->dataplane,
		.ran = on_ran,
		.refused = on_refused,
		.repaired = on_repaired,
		.data = w,
		.clock_us = clock_us,
		.random = no_random,
		.clock_data = w,
	});
}

int sync_world_teardown(void **state)
{
	struct sync_world *w = *state;

	sync_free(w->sync);
	dataplane_close(&w->dataplane);
	node_info_fini(&w->node_info);
	cluster_free(w->cluster);
	config_fini(&w->config);
	buf_fini(&w->refused);
	world_close(&w->base);
	free(w);
	return 0;
}

void sync_world_put(struct sync_world *w, const char *name, int octet)
{
	(void)cluster_put_format(w->cluster,
				 "apiVersion: v1\nkind: Service\n"
				 "metadata: {namespace: ns, name: %s}\n"
				 "spec: {clusterIP: 10.96.%d.%d, ports: [{port: 80}]}\n",
				 name, octet / 250, octet % 250);
}

void sync_world_del(struct sync_world *w, const char *name)
{
	(void)cluster_del(w->cluster, OBJECT_SERVICE, "ns", name);
}

void sync_world_pass(struct sync_world *w, uint64_t us)
{
	uint64_t end_us = w->now_us + us, delay_us;

	while ((delay_us = sync_delay(w->sync)) <= end_us - w->now_us) {
		size_t n_ran = w->n_ran;

		w->now_us += delay_us;
		(void)sync_run(w->sync);
		assert_true(w->n_ran == n_ran + 1 && n_ran < 10000);
	}
	w->now_us = end_us;
}

void sync_world_start(struct sync_world *w)
{
	sync_world_make(w);
	sync_world_pass(w, 0);
	assert_int_equal(w->n_ran, 1);
	sync_world_pass(w, SEC);
	assert_int_equal(w->n_ran, 1);
}

void sync_world_change(struct sync_world *w, const char *name, int octet)
{
	sync_world_put(w, name, octet);
	sync_mark(w->sync);
}

void tape_expect(const struct tape *tape, size_t index, bool full, size_t n)
{
	assert_true(index < tape->n_notes);
	assert_int_equal(tape->notes[index].full, full);
	assert_int_equal(tape->notes[index].n, n);
}

const struct note *tape_last(const struct tape *tape)
{
	assert_true(tape->n_notes > 0);
	return &tape->notes[tape->n_notes - 1];
}

const struct sink_state *sync_world_state(const struct sync_world *w, size_t index)
{
	return &sync_sinks(w->sync)->states[index];
}
