/*
 * A record for each Service that asks for checks, with its endpoints sorted by address
 * and port.  An endpoint waits for its timer, then perhaps for its turn, then for the
 * result; so it is in at most one of: timer, queue, probe.
 */
#include "watchers/checks/checker.h"

#include <ev.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "watchers/checks/probe.h"
#include "watchers/checks/verdict.h"
#include "watchers/plan/endpoints.h"
#include "watchers/plan/plan.h"

struct checked { /* an endpoint */
	struct checked_service *service;
	struct addr addr;
	uint16_t port;
	struct verdict verdict;
	uint64_t started_us; /* the last check */
	struct ev_timer timer;
	struct probe probe;
	bool is_queued;
	TAILQ_ENTRY(checked) in_queue;
};

struct checked_service {
	struct name_key key; /* first; in text */
	struct checker *checker;
	struct check_settings settings;
	char *path;
	struct checked **items;
	size_t n;
	char text[];
};

struct checker {
	struct ev_loop *loop;
	struct prober prober;
	struct plan_health health;
	struct hash services;
	TAILQ_HEAD(, checked) queue;
	size_t n_running;
	struct checker_stats stats;
	void (*changed)(void *data, const struct checker_endpoint *endpoint);
	void *data;
};

static void start_next(struct checker *c);

static struct checker_endpoint describe(const struct checked *e)
{
	const struct check_settings *settings = &e->service->settings;

	return (struct checker_endpoint){
		.ns = e->service->key.ns,
		.name = e->service->key.name,
		.addr = e->addr,
		.port = e->port,
		.is_down = e->verdict.is_down,
		.why = e->verdict.why,
		.n_in_row = e->verdict.is_down ? settings->fall : settings->rise,
	};
}

static void start_timer(struct checked *e, double sec)
{
	struct ev_loop *loop = e->service->checker->loop;

	ev_now_update(loop); /* relative to now, not to the start of the iteration */
	ev_timer_set(&e->timer, sec, 0.);
	ev_timer_start(loop, &e->timer);
}

static void schedule(struct checked *e)
{
	uint64_t gap_us =
		verdict_gap_ms(&e->verdict, &e->service->settings) * UINT64_C(1000);
	uint64_t passed_us = clock_monotonic_us() - e->started_us;

	start_timer(e, passed_us < gap_us ? (double)(gap_us - passed_us) / 1e6 : 0.);
}

static void note(struct checked *e, const char *why_failed)
{
	struct checker *c = e->service->checker;
	struct checker_endpoint endpoint;

	if (why_failed)
		c->stats.n_failed++;
	else
		c->stats.n_succeeded++;
	if (!verdict_note(&e->verdict, &e->service->settings, why_failed))
		return;
	if (e->verdict.is_down) {
		c->stats.n_down++;
		c->stats.n_went_down++;
	} else {
		c->stats.n_down--;
		c->stats.n_came_up++;
	}
	endpoint = describe(e);
	c->changed(c->data, &endpoint);
}

static void on_done(struct probe *p, enum probe_result result, const char *why)
{
	struct checked *e = container_of(p, struct checked, probe);
	struct checker *c = e->service->checker;

	c->n_running--;
	if (result == PROBE_UNKNOWN)
		c->stats.n_unknown++;
	else
		note(e, result == PROBE_FAILED ? why : NULL);
	schedule(e);
	start_next(c);
}

static void unqueue(struct checked *e)
{
	TAILQ_REMOVE(&e->service->checker->queue, e, in_queue);
	e->is_queued = false;
}

static void start_next(struct checker *c)
{
	struct checked *e;

	while (c->n_running < CHECKER_MAX_RUNNING && (e = TAILQ_FIRST(&c->queue))) {
		const struct checked_service *s = e->service;

		unqueue(e);
		c->n_running++;
		e->started_us = clock_monotonic_us();
		e->probe.done = on_done;
		probe_start(&e->probe, &c->prober, &e->addr, e->port,
			    *s->path ? s->path : NULL, s->settings.timeout_ms);
	}
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct checked *e = w->data;
	struct checker *c = e->service->checker;

	e->is_queued = true;
	TAILQ_INSERT_TAIL(&c->queue, e, in_queue);
	start_next(c);
}

static void checked_free(struct checked *e)
{
	struct checker *c = e->service->checker;

	ev_timer_stop(c->loop, &e->timer);
	if (e->is_queued)
		unqueue(e);
	c->n_running -= e->probe.is_running;
	probe_stop(&e->probe);
	c->stats.n_endpoints--;
	c->stats.n_down -= e->verdict.is_down;
	free(e);
}

static struct checked *checked_new(struct checked_service *s, const struct addr *addr,
				   uint16_t port)
{
	struct checked *e = xcalloc(1, sizeof(*e));
	uint64_t at = hash_mix(hash_bytes(addr, sizeof(*addr)), port);

	e->service = s;
	e->addr = *addr;
	e->port = port;
	ev_timer_init(&e->timer, on_timer, 0., 0.);
	e->timer.data = e;
	/* hashes differ between processes: nodes do not check at the same moment */
	start_timer(e, (double)(at % s->settings.interval_ms) / 1e3);
	s->checker->stats.n_endpoints++;
	return e;
}

static void clear(struct checked_service *s)
{
	for (size_t i = 0; i < s->n; i++)
		checked_free(s->items[i]);
	free(s->items);
	s->items = NULL;
	s->n = 0;
}

static void free_service(struct checked_service *s)
{
	clear(s);
	free(s->path);
	free(s);
}

static int compare(const struct checked *e, const struct addr *addr, uint16_t port)
{
	int order = addr_compare(&e->addr, addr);

	return order ? order : (int)e->port - (int)port;
}

static struct checked *find(const struct checked_service *s, const struct addr *addr,
			    uint16_t port)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare(s->items[middle], addr, port);

		if (order == 0)
			return s->items[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

struct place {
	struct addr addr;
	uint16_t port;
};

struct places {
	struct place *items;
	size_t n, cap;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = addr_compare(&x->addr, &y->addr);

	return order ? order : (int)x->port - (int)y->port;
}

static void add_ready(struct places *places, const struct merged_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct merged *m = &list->items[i];

		if (!merged_is_ready(m))
			continue;
		places->items = xgrow(places->items, places->n, &places->cap,
				      sizeof(struct place));
		places->items[places->n++] = (struct place){m->addr, m->port};
	}
}

/* The ready endpoints of all TCP ports, sorted; an endpoint of two ports comes twice. */
static struct places collect(const struct object_service *object,
			     const struct slices *slices)
{
	struct places places = {0};
	struct merged_list list = {0};

	for (uint32_t i = 0; i < object->n_ports * FAMILY_N; i++) {
		const struct object_service_port *port = &object->ports[i / FAMILY_N];
		enum family family = i % FAMILY_N;

		if (port->proto != IPPROTO_TCP || !object->has_family[family])
			continue;
		merged_collect(&list, slices, family, port->name, port->proto);
		add_ready(&places, &list);
	}
	merged_fini(&list);
	if (places.n)
		qsort(places.items, places.n, sizeof(struct place), compare_places);
	return places;
}

/* Takes the verdict of an endpoint that stays, and its timer; the others are new. */
static void update(struct checked_service *s, const struct object_service *object,
		   const struct slices *slices)
{
	const struct checked_service old = *s;
	struct places places = collect(object, slices);

	s->items = xcalloc(places.n + 1, sizeof(struct checked *));
	s->n = 0;
	for (size_t i = 0; i < places.n; i++) {
		const struct place *p = &places.items[i];
		struct checked *e;

		if (i && compare_places(p - 1, p) == 0)
			continue;
		e = find(&old, &p->addr, p->port);
		s->items[s->n++] = e ? e : checked_new(s, &p->addr, p->port);
	}
	free(places.items);
	for (size_t i = 0; i < old.n; i++)
		if (find(s, &old.items[i]->addr, old.items[i]->port) != old.items[i])
			checked_free(old.items[i]);
	free(old.items);
}

static struct checked_service *add_service(struct checker *c, const char *ns,
					   const char *name)
{
	size_t ns_len = strlen(ns) + 1, name_len = strlen(name) + 1;
	struct checked_service *s = xcalloc(1, sizeof(*s) + ns_len + name_len);

	memcpy(s->text, ns, ns_len);
	memcpy(s->text + ns_len, name, name_len);
	s->key = (struct name_key){s->text, s->text + ns_len};
	s->checker = c;
	s->path = xstrdup("");
	(void)hash_put(&c->services, s); /* there was none */
	return s;
}

static void note_service(struct checker *c, const struct name_key *key,
			 const struct object_service *object, const struct slices *slices)
{
	struct checked_service *s = hash_find(&c->services, key);
	const struct object_options *options =
		object ? object_service_options(object) : NULL;

	if (!options || !options->service.health_check) {
		if (s)
			free_service(hash_del(&c->services, key));
		return;
	}
	if (!s)
		s = add_service(c, key->ns, key->name);
	if (strcmp(s->path, options->health_path) != 0) {
		clear(s); /* another question: its answer is not known yet */
		free(s->path);
		s->path = xstrdup(options->health_path);
	}
	s->settings = check_settings_of(&options->service, &options->times);
	update(s, object, slices);
}

static void on_planned(void *data, const char *ns, const char *name,
		       const struct object_service *object,
		       const struct object_slice *const *items, size_t n)
{
	const struct name_key key = {ns, name};
	const struct slices slices = {.items = items, .n = n, .node_name = ""};

	note_service(data, &key, object, &slices);
	start_next(data); /* removed checks have made room */
}

static const char *why_down(void *data, const struct object_service *object,
			    const struct addr *addr, uint16_t port)
{
	const struct checker *c = data;
	const struct checked_service *s = hash_find(&c->services, &object->base.ns);
	const struct checked *e = s ? find(s, addr, port) : NULL;

	return e && e->verdict.is_down ? e->verdict.why : NULL;
}

struct checker *checker_new(struct ev_loop *loop,
			    void (*changed)(void *data,
					    const struct checker_endpoint *endpoint),
			    void *data)
{
	struct checker *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->changed = changed;
	c->data = data;
	c->health = (struct plan_health){on_planned, why_down, c};
	prober_init(&c->prober, loop);
	TAILQ_INIT(&c->queue);
	hash_init(&c->services, &name_key_ops);
	return c;
}

void checker_free(struct checker *c)
{
	struct checked_service *s;

	if (!c)
		return;
	for (size_t i = 0; (s = hash_next(&c->services, &i));)
		free_service(s);
	hash_fini(&c->services);
	prober_fini(&c->prober);
	free(c);
}

const struct plan_health *checker_plan_health(const struct checker *c)
{
	return &c->health;
}

struct checker_stats checker_stats(const struct checker *c)
{
	return c->stats;
}

bool checker_any_down(const struct checker *c, struct checker_endpoint *ret)
{
	const struct checked_service *s;

	for (size_t i = 0; c->stats.n_down && (s = hash_next(&c->services, &i));)
		for (size_t e = 0; e < s->n; e++)
			if (s->items[e]->verdict.is_down) {
				*ret = describe(s->items[e]);
				return true;
			}
	return false;
}
