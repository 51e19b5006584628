#include "tests/test.h"

#include "tests/unit/kube_run.h"

#include <ev.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "tests/unit/tls_front.h"
#include "watchers/cluster.h"
#include "watchers/kube/events.h"
#include "watchers/kube/kube.h"

static void on_synced(void *data)
{
	struct run *r = data;

	r->has_synced = true;
	if (r->events)
		events_record(r->events, &(struct event_spec){.type = "Normal",
							      .reason = "Starting",
							      .action = "StartKubeProxy",
							      .note = "",
							      .kind = "Node",
							      .ns = "",
							      .name = "node-0",
							      .uid = "node-0"});
}

static void on_changed(void *data)
{
	((struct run *)data)->n_changes++;
}

void run_open(struct run *r, const struct fake_answer *answers, size_t n)
{
	const struct kube_events events = {on_synced, on_changed, NULL, r};
	_cleanup_(freep) char *error = NULL;
	const char *url;

	r->loop = ev_loop_new(0);
	r->server = fake_server_new(r->loop, answers, n);
	url = fake_server_url(r->server);
	r->cluster = cluster_new("node-0");
	if (r->identity) {
		r->front = tls_front_new(url, r->identity);
		url = tls_front_url(r->front);
	}
	assert_int_equal(kube_new(&(struct kube_params){.master = url,
							.service_account =
								r->service_account,
							.kubeconfig = r->kubeconfig,
							.stall_sec = r->stall_sec,
							.reject = r->reject,
							.node_name = "node-0",
							.user_agent = "test",
							.cluster = r->cluster},
				  &r->kube, &error),
			 0);
	kube_start(r->kube, r->loop, &events);
}

void run_close(struct run *r)
{
	kube_free(r->kube);
	tls_front_free(r->front);
	fake_server_free(r->server);
	cluster_free(r->cluster);
	ev_loop_destroy(r->loop);
}

static void on_timeout(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	*(bool *)w->data = true;
}

bool wait_for(struct run *r, bool (*holds)(const struct run *r), double max_sec)
{
	bool is_over = false;
	struct ev_timer timer;

	ev_timer_init(&timer, on_timeout, max_sec, 0);
	timer.data = &is_over;
	ev_timer_start(r->loop, &timer);
	while (!is_over && !holds(r))
		ev_run(r->loop, EVRUN_ONCE);
	ev_timer_stop(r->loop, &timer);
	return holds(r);
}

bool never(const struct run *r)
{
	(void)r;
	return false;
}

bool has_web(const struct run *r)
{
	return r->has_synced && cluster_service(r->cluster, "ns", "web");
}
