/*
 * Random sequences of state_replace() against a model that is too slow and too
 * simple to be wrong: arrays, searched from front to back.
 *
 * The model: each place (address, port) has a queue of claimants. On a replace,
 * new claims go to the end in the caller's order; then each claim that is gone
 * leaves, and its place goes to the first of the new claims at the queue's end.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"

DEFINE_CLEANUP(struct state *, state_free);

#define N_NAMES	  6
#define N_PORTS	  3 /* port names of a Service */
#define N_PLACES  5
#define N_KINDS	  2
#define QUEUE_MAX (N_NAMES * N_PORTS * N_KINDS)

struct claimant {
	int name, port, kind;
	bool is_new;
};

struct queue {
	struct claimant items[QUEUE_MAX];
	int n;
};

/* The claims of a service: a bit for each place and kind, and how many endpoints. */
struct wish {
	bool is_there;
	bool wants[N_KINDS][N_PLACES];
	int n_endpoints;
};

struct model {
	struct wish wishes[N_NAMES][N_PORTS];
	struct queue queues[N_PLACES];
	/* The sum of all takes. */
	struct service *taken[N_NAMES][N_PORTS];
};

static const char *const names[N_NAMES] = {"a", "aa", "b", "c", "d", "e"};
static const char *const port_names[N_PORTS] = {"", "http", "x"};

static int index_of(const char *const *texts, int n, const char *text)
{
	for (int i = 0; i < n; i++)
		if (strcmp(texts[i], text) == 0)
			return i;
	fail_msg("unknown %s", text);
	return -1;
}

static struct addr place_addr(int place)
{
	return addr_from_bytes(FAMILY_IPV4, (const uint8_t[]){10, 0, 0, (uint8_t)place});
}

static struct service *build(int name, int port, const struct wish *w)
{
	struct frontend f[N_KINDS * N_PLACES];
	struct endpoint e[8];
	size_t n = 0;

	for (int kind = 0; kind < N_KINDS; kind++)
		for (int place = 0; place < N_PLACES; place++)
			if (w->wants[kind][place])
				f[n++] = (struct frontend){.addr = place_addr(place),
							   .port = 80,
							   .kind = (uint8_t)kind};
	for (int i = 0; i < w->n_endpoints; i++)
		e[i] = (struct endpoint){.addr = place_addr(100 + i), .port = 1};
	return service_new(&(struct service_spec){.ns = "default",
						  .name = names[name],
						  .port_name = port_names[port],
						  .proto = IPPROTO_TCP,
						  .frontends = f,
						  .n_frontends = n,
						  .endpoints = e,
						  .n_endpoints = (size_t)w->n_endpoints});
}

static int find_claim(const struct queue *q, int name, int port, int kind)
{
	for (int i = 0; i < q->n; i++)
		if (q->items[i].name == name && q->items[i].port == port &&
		    q->items[i].kind == kind)
			return i;
	return -1;
}

/* The first new claim after `at` with no old claim after it. */
static int find_heir(const struct queue *q, int at)
{
	int heir = q->n;

	while (heir - 1 > at && q->items[heir - 1].is_new)
		heir--;
	return heir < q->n ? heir : -1;
}

static void queue_del(struct queue *q, int at)
{
	memmove(&q->items[at], &q->items[at + 1],
		(size_t)(q->n - at - 1) * sizeof(q->items[0]));
	q->n--;
}

static void claim(struct model *m, int name, int port)
{
	for (int place = 0; place < N_PLACES; place++)
		for (int kind = 0; kind < N_KINDS; kind++) {
			struct queue *q = &m->queues[place];

			if (m->wishes[name][port].wants[kind][place] &&
			    find_claim(q, name, port, kind) < 0)
				q->items[q->n++] =
					(struct claimant){name, port, kind, true};
		}
}

static void let_go(struct model *m, int name, int port)
{
	for (int place = 0; place < N_PLACES; place++)
		for (int kind = 0; kind < N_KINDS; kind++) {
			struct queue *q = &m->queues[place];
			int at = find_claim(q, name, port, kind), heir;

			if (at < 0 || m->wishes[name][port].wants[kind][place])
				continue;
			heir = find_heir(q, at);
			if (heir < 0) {
				queue_del(q, at);
				continue;
			}
			q->items[at] = q->items[heir];
			queue_del(q, heir);
		}
}

/* order: the ports that are there, as given to state_replace(). */
static void model_replace(struct model *m, int name, const int *order, int n)
{
	for (int i = 0; i < n; i++)
		claim(m, name, order[i]);
	/* Those that are gone let go first, then those that changed. */
	for (int port = 0; port < N_PORTS; port++)
		if (!m->wishes[name][port].is_there)
			let_go(m, name, port);
	for (int i = 0; i < n; i++)
		let_go(m, name, order[i]);
	for (int place = 0; place < N_PLACES; place++)
		for (int i = 0; i < m->queues[place].n; i++)
			m->queues[place].items[i].is_new = false;
}

static struct wish random_wish(void)
{
	struct wish w = {.is_there = rand() % 4 > 0, .n_endpoints = rand() % 3};

	for (int kind = 0; w.is_there && kind < N_KINDS; kind++)
		for (int place = 0; place < N_PLACES; place++)
			w.wants[kind][place] = rand() % 3 == 0;
	return w;
}

static void random_replace(struct state *st, struct model *m)
{
	struct service *services[N_PORTS];
	int order[N_PORTS], n = 0, name = rand() % N_NAMES;

	/* Often some of it stays as it is; sometimes all goes. */
	for (int port = 0; port < N_PORTS; port++)
		if (rand() % 2)
			m->wishes[name][port] = random_wish();
	if (rand() % 10 == 0)
		memset(m->wishes[name], 0, sizeof(m->wishes[name]));
	for (int i = 0, start = rand(); i < N_PORTS; i++) {
		int port = (int)(((unsigned)start + (unsigned)i) % N_PORTS);

		if (!m->wishes[name][port].is_there)
			continue;
		services[n] = build(name, port, &m->wishes[name][port]);
		order[n++] = port;
	}
	state_replace(st, "default", names[name], services, (size_t)n);
	model_replace(m, name, order, n);
}

/* The visible service: the desired one without the frontends of other holders. */
static struct service *expected(const struct model *m, int name, int port)
{
	struct wish w = m->wishes[name][port];

	for (int place = 0; place < N_PLACES; place++)
		for (int kind = 0; kind < N_KINDS; kind++)
			if (find_claim(&m->queues[place], name, port, kind) != 0)
				w.wants[kind][place] = false;
	return build(name, port, &w);
}

static struct service **taken_of(struct model *m, const struct service *s)
{
	return &m->taken[index_of(names, N_NAMES, service_name(s))]
			[index_of(port_names, N_PORTS, service_port_name(s))];
}

/* Adds a delta to the previous takes; each change must continue them. */
static void follow(struct state *st, struct model *m)
{
	_cleanup_(state_taken_fini) struct state_taken taken = state_take(st, false);

	assert_false(state_has_changes(st));
	for (size_t i = 0; i < taken.n; i++) {
		const struct change *c = &taken.changes[i];
		struct service **known = taken_of(m, c->old ? c->old : c->new);

		assert_int_equal(*known != NULL, c->old != NULL);
		if (c->old)
			assert_true(service_equal(*known, c->old));
		if (c->old && c->new)
			assert_false(service_equal(c->old, c->new));
		service_unref(*known);
		*known = c->new ? service_ref(c->new) : NULL;
	}
}

static const struct service *find_seen(const struct state *st, int name, int port)
{
	const struct service *s;

	for (size_t i = 0; (s = state_next(st, &i));)
		if (strcmp(service_name(s), names[name]) == 0 &&
		    strcmp(service_port_name(s), port_names[port]) == 0)
			return s;
	return NULL;
}

static void check_services(const struct state *st, const struct model *m, bool is_taken)
{
	size_t n = 0;

	for (int name = 0; name < N_NAMES; name++)
		for (int port = 0; port < N_PORTS; port++) {
			const struct service *seen = find_seen(st, name, port);

			assert_int_equal(seen != NULL, m->wishes[name][port].is_there);
			if (is_taken)
				assert_int_equal(m->taken[name][port] != NULL,
						 seen != NULL);
			if (!seen)
				continue;
			_cleanup_(freep) struct service *e = expected(m, name, port);

			n++;
			assert_true(service_equal(seen, e));
			if (is_taken)
				assert_true(service_equal(m->taken[name][port], e));
		}
	assert_int_equal(state_n_services(st), n);
}

static void check_holders(const struct state *st, const struct model *m)
{
	size_t n_waiting = 0, n;

	for (int place = 0; place < N_PLACES; place++) {
		const struct queue *q = &m->queues[place];
		struct addr addr = place_addr(place);
		const struct frontend *f = NULL;
		const struct service *s =
			state_find_frontend(st, &addr, IPPROTO_TCP, 80, &f);

		assert_int_equal(s != NULL, q->n > 0);
		if (!s)
			continue;
		assert_string_equal(service_name(s), names[q->items[0].name]);
		assert_string_equal(service_port_name(s), port_names[q->items[0].port]);
		assert_int_equal(f->kind, q->items[0].kind);
		n_waiting += (size_t)q->n - 1;
	}
	free(state_conflicts(st, &n));
	assert_int_equal(n, n_waiting);
	assert_int_equal(state_n_conflicts(st), n_waiting);
}

static void random_run(unsigned seed, int n_steps)
{
	_cleanup_(state_freep) struct state *st = state_new();
	struct model *m = calloc(1, sizeof(*m));

	srand(seed);
	for (int step = 0; step < n_steps; step++) {
		bool is_taken = rand() % 3 == 0;

		random_replace(st, m);
		if (is_taken)
			follow(st, m);
		check_services(st, m, is_taken);
		check_holders(st, m);
	}
	for (int name = 0; name < N_NAMES; name++)
		for (int port = 0; port < N_PORTS; port++)
			service_unref(m->taken[name][port]);
	free(m);
}

static void the_state_agrees_with_the_model_after_random_changes(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++) {
		print_message("seed %u\n", seed);
		random_run(seed, 300);
	}
}

static void a_full_take_equals_the_sum_of_the_deltas(void **state)
{
	_cleanup_(state_freep) struct state *st = state_new();
	struct model *m = calloc(1, sizeof(*m));

	(void)state;
	srand(77);
	for (int step = 0; step < 2000; step++) {
		random_replace(st, m);
		if (rand() % 4)
			continue;
		_cleanup_(state_taken_fini) struct state_taken full =
			state_take(st, true);

		assert_true(full.full);
		assert_int_equal(full.n, state_n_services(st));
		/* From here on deltas are relative to this. */
		for (int name = 0; name < N_NAMES; name++)
			for (int port = 0; port < N_PORTS; port++) {
				service_unref(m->taken[name][port]);
				m->taken[name][port] = NULL;
			}
		for (size_t i = 0; i < full.n; i++) {
			assert_null(full.changes[i].old);
			*taken_of(m, full.changes[i].new) =
				service_ref(full.changes[i].new);
		}
		random_replace(st, m);
		follow(st, m);
		check_services(st, m, true);
	}
	for (int name = 0; name < N_NAMES; name++)
		for (int port = 0; port < N_PORTS; port++)
			service_unref(m->taken[name][port]);
	free(m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_state_agrees_with_the_model_after_random_changes),
		cmocka_unit_test(a_full_take_equals_the_sum_of_the_deltas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
