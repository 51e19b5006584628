/*
 * The sink takes sockets and a state from the process before it, and leaves them to
 * the next one: by the hand-over's connection or by the service manager's
 * store.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/relay/relay_sink_private.h"

#define SNAPSHOT_SEC 2. /* what a SIGKILL loses */
#define QUIET_ROUNDS                                                                     \
	15 /* a connection binds its client when an endpoint has accepted it */
#define MAX_DRAIN_MS  3600000
#define DRAIN_STEP_MS 10
/* While listeners are in the store, clients wait for the next process. */
#define MAX_STOP_MS  1000
#define STOP_CALM_MS 200
#define STATE_NAME   "state"

/* ---- the state, written ---- */

struct gatherer {
	struct relay_state_writer writer;
	uint64_t now_ms;
};

static void add_service(struct gatherer *g, const struct relay_service *s)
{
	struct relay_state_service record = relay_state_describe(&g->writer, s->service);

	record.id = s->account->affinity_id;
	for (int i = 0; i < RELAY_COUNTER_N; i++)
		record.counters[i] = relay_counted(&s->account->counters[i]);
	relay_state_add(&g->writer, RELAY_STATE_SERVICES, &record);
	for (uint32_t i = 0; i < s->service->n_endpoints; i++) {
		const struct relay_endpoint *e = s->endpoints[i];

		relay_state_add(&g->writer, RELAY_STATE_ENDPOINTS,
				&(struct relay_state_endpoint){
					.addr = e->addr,
					.port = e->port,
					.n_connections = relay_counted(&e->n_connections),
					.n_failures = relay_counted(&e->n_failures),
				});
	}
}

static void add_binding(void *data, const struct relay_state_binding *binding)
{
	struct gatherer *g = data;

	if (binding->until_ms > g->now_ms)
		relay_state_add(&g->writer, RELAY_STATE_BINDINGS, binding);
}

static void add_aside(void *data, const struct addr *addr, uint16_t port,
		      uint64_t until_ms)
{
	struct gatherer *g = data;

	relay_state_add(&g->writer, RELAY_STATE_ASIDE,
			&(struct relay_state_aside){.addr = *addr,
						    .port = port,
						    .until_ms = until_ms});
}

static int write_state(struct relay_sink *r)
{
	struct gatherer g = {.now_ms = relay_now_ms()};
	const struct relay_entry *e;
	const struct relay_listener *l;

	for (size_t i = 0; (e = hash_next(&r->entries, &i));)
		add_service(&g, e->current);
	for (size_t i = 0; (l = hash_next(&r->listeners, &i));)
		relay_state_add(&g.writer, RELAY_STATE_FRONTENDS,
				&(struct relay_state_frontend){
					.key = l->key,
					.n_connections = relay_listener_n_connections(l),
				});
	relay_affinity_each(r->shared.affinity, add_binding, &g);
	for (unsigned i = 0; r->shared.workers && i < r->shared.n_workers; i++) {
		relay_aside_each(&r->shared.workers[i]->aside, g.now_ms, add_aside, &g);
		for (int c = 0; c < RELAY_COUNTER_N; c++)
			g.writer.totals[c] +=
				relay_counted(&r->shared.workers[i]->counters[c]);
	}
	return relay_state_write(&g.writer, r->state_fd);
}

static bool save_state(struct relay_sink *r)
{
	int err = write_state(r);

	if (err)
		log_warn("userspace: cannot save the state for a restart: %s",
			 strerror(-err));
	return !err;
}

/* Nothing has changed for some time: the counters of the workers are few. */
static bool is_quiet(struct relay_sink *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; r->shared.workers && i < r->shared.n_workers; i++)
		for (int c = 0; c < RELAY_COUNTER_N; c++)
			n += relay_counted(&r->shared.workers[i]->counters[c]);
	r->n_quiet = n == r->n_counted ? r->n_quiet + 1 : 0;
	r->n_counted = n;
	return r->n_quiet > QUIET_ROUNDS;
}

static void on_snapshot(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct relay_sink *r = timer->data;

	if (!is_quiet(r) && !save_state(r))
		ev_timer_stop(loop, timer);
}

/* ---- the state, read ---- */

/* Both lists have the order of endpoints. */
static void restore_endpoints(const struct relay_state *state,
			      const struct relay_state_service *record,
			      struct relay_service *s)
{
	const struct relay_state_endpoint *old = relay_state_endpoints(state, record);
	uint32_t at = 0;

	for (uint32_t i = 0; i < s->service->n_endpoints; i++) {
		struct relay_endpoint *e = s->endpoints[i];
		const struct endpoint key = {.addr = e->addr, .port = e->port};

		while (at < record->n_endpoints &&
		       service_compare_endpoint(&(struct endpoint){.addr = old[at].addr,
								   .port = old[at].port},
						&key) < 0)
			at++;
		if (at == record->n_endpoints || old[at].port != e->port ||
		    !addr_equal(&old[at].addr, &e->addr))
			continue;
		relay_count(&e->n_connections, old[at].n_connections);
		relay_count(&e->n_failures, old[at].n_failures);
	}
}

static void restore_bindings(struct relay_sink *r,
			     const struct relay_state_service *record,
			     const struct relay_service *s)
{
	uint64_t timeout_ms = UINT64_C(1000) * s->service->affinity_sec;
	uint64_t now_ms = relay_now_ms();
	size_t n;
	const struct relay_state_binding *list =
		relay_state_bindings(r->state, record, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i].until_ms > now_ms && list[i].until_ms <= now_ms + timeout_ms)
			relay_affinity_put(r->shared.affinity, s->account->affinity_id,
					   &list[i].client, list[i].until_ms - timeout_ms,
					   s->service->affinity_sec, &list[i].endpoint,
					   list[i].port);
}

void relay_sink_restore_service(struct relay_sink *r, struct relay_service *s)
{
	const struct relay_state_service *record =
		r->state ? relay_state_find(r->state, s->service) : NULL;

	if (!record)
		return;
	for (int i = 0; i < RELAY_COUNTER_N; i++)
		relay_count(&s->account->counters[i], record->counters[i]);
	restore_endpoints(r->state, record, s);
	restore_bindings(r, record, s);
}

void relay_sink_restore_workers(struct relay_sink *r)
{
	const struct relay_state_aside *list;
	uint64_t now_ms = relay_now_ms();
	size_t n;

	if (!r->state)
		return;
	for (int i = 0; i < RELAY_COUNTER_N; i++)
		relay_count(&r->shared.workers[0]->counters[i],
			    relay_state_totals(r->state)[i]);
	list = relay_state_table(r->state, RELAY_STATE_ASIDE, &n);
	for (unsigned w = 0; w < r->shared.n_workers; w++)
		for (size_t i = 0; i < n; i++)
			if (list[i].until_ms > now_ms)
				relay_aside_put(&r->shared.workers[w]->aside,
						&list[i].addr, list[i].port, now_ms,
						list[i].until_ms - now_ms);
}

/* ---- the store of the service manager ---- */

/* A descriptor's name there must not have a colon. */
static char *name_of(const struct relay_listener_key *key)
{
	char text[ADDR_PORT_TEXT_LEN];
	char *name = xasprintf("%s-%s", proto_name(key->proto),
			       addr_port_format(&key->addr, key->port, text));

	for (char *c = name; *c; c++)
		if (*c == ':')
			*c = '_';
	return name;
}

static void store_fds(const struct relay_sink *r, const char *name, const int *fds,
		      size_t n)
{
	int err = r->params.store->put(name, fds, n);

	if (err)
		log_warn("userspace: the service manager does not keep %s: %s; a restart "
			 "refuses its clients for a moment",
			 name, strerror(-err));
}

void relay_sink_store(const struct relay_sink *r, const struct relay_listener *l)
{
	_cleanup_(freep) char *name = NULL;
	_cleanup_(freep) int *fds = NULL;

	if (!r->params.store)
		return;
	name = name_of(&l->key);
	fds = xcalloc(l->n_ears, sizeof(*fds));
	for (unsigned i = 0; i < l->n_ears; i++)
		fds[i] = l->ears[i]->io.fd;
	store_fds(r, name, fds, l->n_ears);
}

void relay_sink_unstore(const struct relay_sink *r, const struct relay_listener_key *key)
{
	_cleanup_(freep) char *name = NULL;

	if (!r->params.store)
		return;
	name = name_of(key);
	(void)r->params.store->remove(name); /* it would be offered at the next start */
}

static void on_unused(void *data, const struct relay_listener_key *key)
{
	relay_sink_unstore(data, key);
}

/* ---- the start ---- */

static void take_inherited(struct relay_sink *r)
{
	for (size_t i = 0; i < r->params.n_inherited; i++) {
		int err = relay_inheritance_add(&r->inheritance, r->params.inherited[i]);

		if (err)
			log_warn("userspace: inherited descriptor %d: %s; it is not used",
				 r->params.inherited[i], strerror(-err));
	}
}

/* Of a daemon that runs. */
static void take_over(struct relay_sink *r)
{
	const char *why = NULL;
	int err = relay_handover_take(r->handover_path, &r->inheritance,
				      &r->predecessor_fd, &why);

	if (err == -ENOENT)
		log_info("userspace: no daemon hands over at %s", r->handover_path);
	else if (err)
		log_warn("userspace: cannot take over from the running daemon: %s", why);
}

void relay_sink_inherit(struct relay_sink *r)
{
	const char *why;

	if (r->params.handover_path)
		r->handover_path = xstrdup(r->params.handover_path);
	relay_inheritance_init(&r->inheritance);
	r->shared.inheritance = &r->inheritance;
	r->predecessor_fd = -1;
	r->state_fd = memfd_create("sluice-state", MFD_CLOEXEC);
	ev_timer_init(&r->snapshot, on_snapshot, SNAPSHOT_SEC, SNAPSHOT_SEC);
	r->snapshot.data = r;
	take_inherited(r);
	if (r->params.take_over && r->handover_path)
		take_over(r);
	if (r->inheritance.state_fd >= 0 &&
	    relay_state_read(r->inheritance.state_fd, &r->state, &why) != 0)
		log_warn("userspace: the saved state cannot be used: %s; affinity and "
			 "counters start empty",
			 why);
	if (r->inheritance.n_sockets)
		log_info("userspace: inherited %zu listening sockets",
			 r->inheritance.n_sockets);
	r->shared.has_predecessor =
		r->predecessor_fd >= 0 || r->inheritance.transfer_fd >= 0;
}

bool relay_sink_is_taking_over(const struct sink *sink)
{
	return container_of(sink, const struct relay_sink, sink)->predecessor_fd >= 0;
}

/* ---- all Services are served ---- */

static void send_all(void *data, struct relay_handover *h)
{
	struct relay_sink *r = data;
	const struct relay_listener *l;

	for (size_t i = 0; (l = hash_next(&r->listeners, &i));)
		for (unsigned k = 0; k < l->n_ears; k++)
			relay_handover_send_socket(h, l->ears[k]->io.fd);
	if (write_state(r) == 0)
		relay_handover_send_state(h, r->state_fd);
}

static void on_handed_over(void *data, pid_t by, int fd)
{
	struct relay_sink *r = data;

	log_info("userspace: pid %d serves all Services now; this process ends with its "
		 "connections",
		 (int)by);
	r->is_handed_over = true;
	relay_routes_own(r->routes, false);
	relay_sink_pass(r, fd);
	ev_break(r->params.loop, EVBREAK_ALL);
}

static void offer(struct relay_sink *r)
{
	const struct relay_handover_hooks hooks = {send_all, on_handed_over, r};
	int err = relay_handover_new(r->params.loop, r->handover_path, &hooks,
				     &r->handover);

	if (err)
		log_warn("userspace: cannot listen at %s: %s; --take-over will not work",
			 r->handover_path, strerror(-err));
}

/* The connection by which flows and waiting clients come; -1: none. */
static int say_ready(struct relay_sink *r)
{
	if (r->predecessor_fd < 0)
		return take_fd(r->inheritance.transfer_fd);
	if (relay_handover_ready(r->predecessor_fd) == 0)
		return take_fd(r->predecessor_fd);
	log_warn("userspace: the process before this one has ended before the hand-over "
		 "was complete");
	closep(&r->predecessor_fd);
	r->predecessor_fd = -1;
	return -1;
}

void relay_sink_adopted(struct relay_sink *r)
{
	if (r->has_adopted)
		return;
	r->has_adopted = true;
	if (r->shared.has_predecessor)
		relay_sink_start_transfer(r, say_ready(r));
	relay_inheritance_fini(&r->inheritance, on_unused, r);
	relay_state_free(take_ptr(r->state));
	if (r->handover_path)
		offer(r);
	relay_routes_own(r->routes, !r->params.store);
	if (!r->params.store)
		return;
	if (!save_state(r)) /* before it replaces that of the process before this one */
		return;
	(void)r->params.store->remove(STATE_NAME);
	store_fds(r, STATE_NAME, &r->state_fd, 1);
	ev_timer_start(r->params.loop, &r->snapshot);
}

/* ---- the end ---- */

/* True: end now. The first signal is that of a supervisor that replaces the process. */
static bool is_ended_by_signal(const sigset_t *signals, unsigned *n_signals)
{
	const struct timespec step = {.tv_nsec = DRAIN_STEP_MS * 1000000};

	if (sigtimedwait(signals, NULL, &step) < 0)
		return false;
	if (++*n_signals > 1)
		return true;
	log_info("userspace: connections are still open; another signal ends them");
	return false;
}

static uint32_t n_open(const struct relay_sink *r)
{
	return __atomic_load_n(&r->limit.n_conns, __ATOMIC_RELAXED);
}

/*
 * Workers accept connections until each of their listeners is closed. When none has
 * ended for the calm time, the others are long ones.
 */
static void drain(struct relay_sink *r, uint64_t max_ms, uint64_t calm_ms,
		  unsigned n_signals)
{
	uint64_t start_ms = relay_now_ms(), now_ms = start_ms, change_ms = start_ms;
	uint32_t n = n_open(r);
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	while (relay_limit_is_used(&r->limit) && now_ms - start_ms < max_ms &&
	       now_ms - change_ms < calm_ms &&
	       !is_ended_by_signal(&signals, &n_signals)) {
		now_ms = relay_now_ms();
		if (n_open(r) != n)
			change_ms = now_ms;
		n = n_open(r);
	}
	log_info("userspace: %u connections are left; ending", n_open(r));
}

static void leave_to_store(struct relay_sink *r)
{
	(void)save_state(r);
	if (relay_sink_store_transfer(r))
		drain(r, MAX_STOP_MS, STOP_CALM_MS, 1);
}

void relay_sink_leave(struct relay_sink *r)
{
	if (r->params.loop)
		ev_timer_stop(r->params.loop, &r->snapshot);
	relay_sink_stop_transfer(r);
	if (r->params.store && r->has_adopted && !r->is_handed_over)
		leave_to_store(r);
	relay_handover_free(r->handover);
	if (r->is_handed_over)
		drain(r, MAX_DRAIN_MS, MAX_DRAIN_MS, 0);
	relay_inheritance_fini(&r->inheritance, NULL, NULL);
	relay_state_free(r->state);
	closep(&r->predecessor_fd);
	closep(&r->state_fd);
	free(r->handover_path);
}
