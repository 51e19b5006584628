/*
 * The settings of the API client, and the name of its server in /metrics.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/engine/source.h"
#include "tests/unit/fake_server.h"
#include "tests/unit/world.h"
#include "watchers/cluster.h"

struct api {
	struct config config;
	struct cluster *cluster;
	struct object_source *source;
};

static void api_open(struct api *a, const char *master, double qps, int burst)
{
	config_init(&a->config);
	config_complete(&a->config);
	free(a->config.master);
	a->config.master = xstrdup(master);
	a->config.qps = qps;
	a->config.burst = burst;
	a->cluster = cluster_new("node-0");
	assert_int_equal(source_kube_new(&a->config, "node-0", a->cluster, NULL,
					 &a->source),
			 0);
}

static void api_close(struct api *a)
{
	source_close(a->source);
	cluster_free(a->cluster);
	config_fini(&a->config);
}

static const struct {
	const char *master, *host;
} hosts[] = {
	{"127.0.0.1:8080", "127.0.0.1:8080"},
	{"https://10.96.0.1:443", "10.96.0.1:443"},
	{"https://[fd00::1]:6443/prefix", "[fd00::1]:6443"},
};

static void the_host_in_metrics_is_that_of_client_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(hosts); i++) {
		struct api a;

		api_open(&a, hosts[i].master, 5, 10);
		assert_string_equal(a.source->ops->api(a.source).host, hosts[i].host);
		api_close(&a);
	}
}

static void ignore(void *data)
{
	(void)data;
}

static void ignore_synced(void *data, int err)
{
	(void)data;
	(void)err;
}

/* Requests in the first half second, of four kinds. */
static unsigned count_requests(double qps, int burst)
{
	static const struct fake_answer answers[] = {
		{.request = "GET", .bytes = "", .end = FAKE_STALL},
	};
	const struct source_events events = {.synced = ignore_synced, .changed = ignore};
	struct fake_server *server;
	struct world w;
	struct api a;
	unsigned n;

	world_open(&w);
	server = fake_server_new(w.loop, answers, N_ELEMENTS(answers));
	api_open(&a, fake_server_url(server), qps, burst);
	assert_int_equal(a.source->ops->start(a.source, w.loop, &events), 0);
	world_run(&w, 0.5);
	n = fake_server_n_requests(server, "GET");
	api_close(&a);
	fake_server_free(server);
	world_close(&w);
	return n;
}

static void the_configured_rate_limits_the_requests(void **state)
{
	(void)state;
	assert_int_equal(count_requests(0.1, 1), 1);
	assert_int_equal(count_requests(0.1, 3), 3);
	assert_int_equal(count_requests(50, 10), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_in_metrics_is_that_of_client_go),
		cmocka_unit_test(the_configured_rate_limits_the_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
