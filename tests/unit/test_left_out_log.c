/* The line about valid objects that are not served, as Services are planned. */
#include "tests/test.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "proxy/engine/left_out_log.h"
#include "tests/unit/capture.h"
#include "tests/unit/cluster_text.h"
#include "watchers/plan/plan.h"

struct rig {
	struct cluster *cluster;
	struct state *state;
	struct left_out_log log;
	struct plan_options options;
};

static int set_up(void **state)
{
	static struct rig r;

	r.cluster = cluster_new("node-0");
	r.state = state_new();
	left_out_log_init(&r.log, r.cluster);
	r.options = (struct plan_options){.node_name = "node-0",
					  .planned = left_out_log_planned,
					  .planned_data = &r.log};
	*state = &r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	left_out_log_fini(&r->log);
	state_free(r->state);
	cluster_free(r->cluster);
	return 0;
}

#define HEADLESS                                                                         \
	"{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: t}, spec: "     \
	"{clusterIP: None, ports: [{port: 80}]}}"
#define SERVED                                                                           \
	"{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: t}, spec: "     \
	"{clusterIP: 10.96.0.1, ports: [{name: web, port: 80}]}}"
#define SLICE                                                                            \
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: %s-x, " \
	"namespace: t, labels: {kubernetes.io/service-name: %s}}, addressType: IPv4, "   \
	"endpoints: [{addresses: [10.0.0.1]}], ports: [{name: web, port: 80}]}"

#define CURE "; set a clusterIP for a service address"

#define PUT(R, FORMAT, ...)                                                              \
	assert_int_equal(cluster_put_format((R)->cluster, FORMAT, __VA_ARGS__), 1)

/* Plans, and expects this in the log: "" for an empty log. */
static void expect(struct rig *r, const char *line)
{
	const char *log;

	capture_start();
	(void)plan_dirty(r->cluster, &r->options, r->state, SIZE_MAX);
	left_out_log_write(&r->log);
	log = capture_end();
	if (*line ? !strstr(log, line) : *log != '\0')
		fail_msg("logged \"%s\" instead of \"%s\"", log, line);
}

static void a_line_appears_when_the_objects_change_and_lists_all(void **state)
{
	struct rig *r = *state;

	expect(r, "");
	PUT(r, SERVED, "web");
	expect(r, "");
	PUT(r, HEADLESS, "db");
	expect(r,
	       "info  not served: Service t/db: is headless, which is for DNS only" CURE
	       "\n");
	expect(r, "");
	PUT(r, SLICE, "gone", "gone");
	expect(r,
	       "warn  not served: Service t/db: is headless, which is for DNS only" CURE
	       "; "
	       "EndpointSlice t/gone-x: its Service gone does not exist; "
	       "create it, or correct the label kubernetes.io/service-name\n");
	PUT(r, SLICE, "web", "web");
	expect(r, "");
	PUT(r, SERVED, "gone");
	expect(r,
	       "info  not served: Service t/db: is headless, which is for DNS only" CURE
	       "\n");
	assert_true(cluster_del(r->cluster, OBJECT_SERVICE, "t", "db"));
	expect(r, "");
}

static void of_many_a_few_are_named(void **state)
{
	struct rig *r = *state;
	char name[16];

	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		PUT(r, HEADLESS, name);
	}
	expect(r, "Service t/s4: is headless, which is for DNS only" CURE
		  "; and 3 more, see "
		  "sluice plan\n");
}

static void only_the_planned_service_is_looked_at(void **state)
{
	struct rig *r = *state;

	PUT(r, HEADLESS, "a");
	PUT(r, HEADLESS, "b");
	left_out_log_planned(&r->log, "t", "b");
	capture_start();
	left_out_log_write(&r->log);
	assert_null(strstr(capture_end(), "t/a"));
	expect(r, "Service t/a: is headless, which is for DNS only" CURE
		  "; Service t/b: is ");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_appears_when_the_objects_change_and_lists_all),
		TEST(of_many_a_few_are_named),
		TEST(only_the_planned_service_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
