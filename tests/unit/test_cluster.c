/*
 * The memory of the cluster, and the Services that it marks for planning.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/unit/cluster_text.h"

#define SERVICE(name)                                                                    \
	"{apiVersion: v1, kind: Service, metadata: {name: " name                         \
	", namespace: default}, spec: {clusterIP: 10.96.0.1,"                            \
	" ports: [{name: http, port: 80}]}}"

/* Takes all dirty names. */
static void assert_dirty(struct cluster *c, const char *want)
{
	struct buf got = BUF_INIT;
	const char *ns, *name;

	while (cluster_take_dirty(c, &ns, &name))
		buf_printf(&got, "%s%s", got.len ? " " : "", name);
	assert_string_equal(buf_string(&got), want);
	assert_int_equal(cluster_n_dirty(c), 0);
	buf_fini(&got);
}

static void assert_slices(struct cluster *c, const char *service, const char *want)
{
	struct buf got = BUF_INIT;
	size_t n;
	_cleanup_(freep) const struct object_slice **slices =
		cluster_slices(c, "default", service, &n);

	for (size_t i = 0; i < n; i++)
		buf_printf(&got, "%s%s", i ? " " : "", slices[i]->base.name);
	assert_string_equal(buf_string(&got), want);
	buf_fini(&got);
}

static void only_changed_objects_make_a_service_dirty(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	assert_int_equal(cluster_put_text(c, SERVICE("web")), 1);
	assert_true(cluster_put_slice(c, "web-a", "web", "10.0.0.1"));
	assert_int_equal(cluster_n_dirty(c), 1);
	assert_dirty(c, "web");

	assert_int_equal(cluster_put_text(c, SERVICE("web")), 0);
	assert_false(cluster_put_slice(c, "web-a", "web", "10.0.0.1"));
	assert_dirty(c, "");

	assert_true(cluster_put_slice(c, "web-a", "web", "10.0.0.1!"));
	assert_true(cluster_put_slice(c, "web-a", "web", "10.0.0.1"));
	assert_dirty(c, "web");
}

static void a_deleted_service_is_dirty_once_and_then_forgotten(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	(void)cluster_put_text(c, SERVICE("web"));
	assert_dirty(c, "web");
	assert_true(cluster_del(c, OBJECT_SERVICE, "default", "web"));
	assert_false(cluster_del(c, OBJECT_SERVICE, "default", "web"));
	assert_null(cluster_service(c, "default", "web"));
	assert_int_equal(cluster_n(c, OBJECT_SERVICE), 0);
	assert_dirty(c, "web");
	cluster_mark_all(c);
	assert_dirty(c, "");

	assert_false(cluster_del(c, OBJECT_SLICE, "default", "unknown"));
	assert_dirty(c, "");
}

static void an_object_may_be_deleted_by_its_own_strings(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");
	const struct object_service *web;

	(void)state;
	(void)cluster_put_text(c, SERVICE("web"));
	web = cluster_service(c, "default", "web");
	assert_true(cluster_del(c, OBJECT_SERVICE, web->base.ns, web->base.name));
	assert_dirty(c, "web");
}

static void a_service_that_returns_before_its_release_is_dirty_again(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");
	const char *ns, *name;

	(void)state;
	(void)cluster_put_text(c, SERVICE("web"));
	assert_dirty(c, "web");
	(void)cluster_del(c, OBJECT_SERVICE, "default", "web");
	assert_true(cluster_take_dirty(c, &ns, &name));
	(void)cluster_put_text(c, SERVICE("web"));
	assert_string_equal(name, "web");
	assert_dirty(c, "web");
	assert_non_null(cluster_service(c, "default", "web"));
}

static void slices_follow_their_label(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	(void)cluster_put_slice(c, "b", "web", "10.0.0.1");
	(void)cluster_put_slice(c, "a", "web", "10.0.0.2");
	(void)cluster_put_slice(c, "c", "web", "10.0.0.3");
	assert_slices(c, "web", "a b c");
	assert_dirty(c, "web");

	assert_true(cluster_put_slice(c, "b", "api", "10.0.0.1"));
	assert_slices(c, "web", "a c");
	assert_slices(c, "api", "b");
	assert_dirty(c, "web api");

	assert_true(cluster_del(c, OBJECT_SLICE, "default", "a"));
	assert_slices(c, "web", "c");
	assert_int_equal(cluster_n(c, OBJECT_SLICE), 2);
	assert_dirty(c, "web");
}

static void many_slices_stay_sorted(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");
	struct buf want = BUF_INIT;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "s%02u", i * 37 % 100);
		(void)cluster_put_slice(c, name, "web", "10.0.0.1");
	}
	for (unsigned i = 0; i < 100; i += 2) {
		(void)snprintf(name, sizeof(name), "s%02u", i);
		assert_true(cluster_del(c, OBJECT_SLICE, "default", name));
	}
	for (unsigned i = 1; i < 100; i += 2)
		buf_printf(&want, "%ss%02u", i > 1 ? " " : "", i);
	assert_slices(c, "web", buf_string(&want));
	buf_fini(&want);
}

static void endpoint_slices_hide_mirrored_endpoints(void **state)
{
	static const char endpoints[] =
		"{apiVersion: v1, kind: Endpoints, metadata: {name: web,"
		" namespace: default}, subsets: [{addresses: [{ip: 10.0.0.9}],"
		" ports: [{name: http, port: 80}]}]}";
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");
	_cleanup_(freep) const struct object_slice **slices = NULL;
	size_t n;

	(void)state;
	assert_int_equal(cluster_put_text(c, endpoints), 1);
	slices = cluster_slices(c, "default", "web", &n);
	assert_int_equal(n, 1);
	assert_true(slices[0]->is_mirror);

	(void)cluster_put_slice(c, "web-a", "web", "10.0.0.1");
	assert_slices(c, "web", "web-a");
	(void)cluster_del(c, OBJECT_SLICE, "default", "web-a");
	assert_slices(c, "web", slices[0]->base.name);
}

static void a_replace_removes_objects_that_it_did_not_put(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	(void)cluster_put_text(c, SERVICE("kept"));
	(void)cluster_put_text(c, SERVICE("gone"));
	(void)cluster_put_slice(c, "kept-a", "kept", "10.0.0.1");
	assert_dirty(c, "gone kept");

	cluster_begin_replace(c, OBJECT_SERVICE);
	assert_int_equal(cluster_put_text(c, SERVICE("kept")), 0);
	assert_int_equal(cluster_put_text(c, SERVICE("new")), 1);
	cluster_end_replace(c, OBJECT_SERVICE);
	assert_dirty(c, "new gone");
	assert_null(cluster_service(c, "default", "gone"));
	assert_int_equal(cluster_n(c, OBJECT_SERVICE), 2);
	assert_slices(c, "kept", "kept-a");

	cluster_begin_replace(c, OBJECT_SLICE);
	cluster_end_replace(c, OBJECT_SLICE);
	assert_slices(c, "kept", "");
	assert_dirty(c, "kept");
}

static void a_replace_keeps_an_unreadable_object(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	(void)cluster_put_text(c, SERVICE("broken"));
	(void)cluster_put_text(c, SERVICE("gone"));
	(void)cluster_put_slice(c, "a", "broken", "10.0.0.1");
	cluster_begin_replace(c, OBJECT_SERVICE);
	cluster_begin_replace(c, OBJECT_SLICE);
	cluster_keep(c, OBJECT_SERVICE, "default", "broken");
	cluster_keep(c, OBJECT_SERVICE, "default", "unknown");
	cluster_keep(c, OBJECT_SLICE, "default", "a");
	cluster_end_replace(c, OBJECT_SERVICE);
	cluster_end_replace(c, OBJECT_SLICE);
	assert_non_null(cluster_service(c, "default", "broken"));
	assert_null(cluster_service(c, "default", "gone"));
	assert_slices(c, "broken", "a");
}

/* Events may come in while a list is read. */
static void changes_during_a_replace_are_kept(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	(void)cluster_put_slice(c, "a", "web", "10.0.0.1");
	(void)cluster_put_slice(c, "b", "web", "10.0.0.1");
	cluster_begin_replace(c, OBJECT_SLICE);
	(void)cluster_put_slice(c, "a", "web", "10.0.0.1");
	(void)cluster_put_slice(c, "a", "web", "10.0.0.2");
	(void)cluster_put_slice(c, "b", "web", "10.0.0.1");
	(void)cluster_del(c, OBJECT_SLICE, "default", "b");
	(void)cluster_put_slice(c, "c", "web", "10.0.0.3");
	cluster_end_replace(c, OBJECT_SLICE);
	assert_slices(c, "web", "a c");
}

static void a_replace_that_is_not_ended_keeps_all_objects(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	(void)cluster_put_text(c, SERVICE("web"));
	cluster_begin_replace(c, OBJECT_SERVICE);
	assert_non_null(cluster_service(c, "default", "web"));
	cluster_end_replace(c, OBJECT_NODE); /* of another kind, and not started */
	assert_non_null(cluster_service(c, "default", "web"));

	cluster_begin_replace(c, OBJECT_SERVICE);
	(void)cluster_put_text(c, SERVICE("web"));
	cluster_begin_replace(c, OBJECT_SERVICE); /* starts over */
	cluster_end_replace(c, OBJECT_SERVICE);
	assert_null(cluster_service(c, "default", "web"));
}

#define NODE(name, rest) "{apiVersion: v1, kind: Node, metadata: {name: " name rest "}}"

static void only_the_own_node_is_kept(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	assert_int_equal(cluster_put_text(c, NODE("node-2", "")), 0);
	assert_null(cluster_node(c));
	assert_false(cluster_take_node_change(c));

	assert_int_equal(cluster_put_text(c, NODE("node-1", "")), 1);
	assert_true(cluster_take_node_change(c));
	assert_false(cluster_take_node_change(c));

	assert_int_equal(cluster_put_text(c, NODE("node-1", "")), 0);
	assert_false(cluster_take_node_change(c));

	(void)cluster_put_text(c, NODE("node-1",
				       ", labels: {topology.kubernetes.io/zone: za}"));
	assert_true(cluster_take_node_change(c));
	assert_string_equal(cluster_node(c)->zone, "za");

	(void)cluster_put_text(c, NODE("node-1", "}, spec: {podCIDRs: [10.1.0.0/24]"));
	assert_true(cluster_take_node_change(c));
	(void)cluster_put_text(c, NODE("node-1", "}, spec: {podCIDRs: [10.2.0.0/24]"));
	assert_true(cluster_take_node_change(c));

	(void)cluster_put_text(c, NODE("node-1",
				       ", labels: {topology.kubernetes.io/zone: za}"));
	assert_true(cluster_take_node_change(c));
	/* Being deleted is for health checks; no plan depends on it. */
	assert_int_equal(
		cluster_put_text(c, NODE("node-1",
					 ", labels: {topology.kubernetes.io/zone: za},"
					 " deletionTimestamp: \"2024-01-01T00:00:00Z\"")),
		1);
	assert_true(cluster_node(c)->is_deleting);
	assert_false(cluster_take_node_change(c));

	assert_false(cluster_del(c, OBJECT_NODE, "", "node-2"));
}

/* Zone, addresses, pod CIDRs: traffic continues while the host exists. */
static void a_node_that_is_deleted_is_kept_as_it_was(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");

	(void)state;
	(void)cluster_put_text(c, NODE("node-1",
				       ", labels: {topology.kubernetes.io/zone: za}"));
	assert_true(cluster_take_node_change(c));
	assert_false(cluster_del(c, OBJECT_NODE, "", "node-1"));
	cluster_begin_replace(c, OBJECT_NODE);
	cluster_end_replace(c, OBJECT_NODE);
	assert_string_equal(cluster_node(c)->zone, "za");
	assert_false(cluster_take_node_change(c));
	(void)cluster_put_text(c, NODE("node-1",
				       ", labels: {topology.kubernetes.io/zone: zb}"));
	assert_string_equal(cluster_node(c)->zone, "zb");
	assert_true(cluster_take_node_change(c));
}

static void service_cidrs_of_all_objects_are_joined(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");
	struct cidr got[4];
	char text[CIDR_TEXT_LEN];

	(void)state;
	(void)cluster_put_text(c, "apiVersion: networking.k8s.io/v1\n"
				  "kind: ServiceCIDR\n"
				  "metadata: {name: one}\n"
				  "spec: {cidrs: [172.30.0.0/16, \"fd00::/112\"]}\n"
				  "---\n"
				  "apiVersion: networking.k8s.io/v1\n"
				  "kind: ServiceCIDR\n"
				  "metadata: {name: two}\n"
				  "spec: {cidrs: [172.30.0.0/16, 10.96.0.0/12]}\n");
	assert_true(cluster_take_service_cidr_change(c));
	assert_int_equal(cluster_service_cidrs(c, got, 4), 3);
	assert_string_equal(cidr_format(&got[0], text), "10.96.0.0/12");
	assert_string_equal(cidr_format(&got[1], text), "172.30.0.0/16");
	assert_string_equal(cidr_format(&got[2], text), "fd00::/112");
	assert_int_equal(cluster_service_cidrs(c, got, 2), 2);

	/* replaced: the previous network is not a Service network any longer */
	(void)cluster_put_text(c, "apiVersion: networking.k8s.io/v1\n"
				  "kind: ServiceCIDR\n"
				  "metadata: {name: two}\n"
				  "spec: {cidrs: [10.97.0.0/16]}\n");
	assert_true(cluster_take_service_cidr_change(c));
	assert_int_equal(cluster_service_cidrs(c, got, 4), 3);
	assert_string_equal(cidr_format(&got[0], text), "10.97.0.0/16");
	assert_int_equal(cluster_n(c, OBJECT_SERVICE_CIDR), 2);

	assert_true(cluster_del(c, OBJECT_SERVICE_CIDR, "", "two"));
	assert_false(cluster_del(c, OBJECT_SERVICE_CIDR, "", "two"));
	assert_true(cluster_take_service_cidr_change(c));
	assert_int_equal(cluster_service_cidrs(c, got, 4), 2);
}

static void put_born(struct cluster *c, const char *name, const char *born)
{
	(void)cluster_put_format(c,
				 "{apiVersion: v1, kind: Service, metadata: {name: %s,"
				 " namespace: default, creationTimestamp: \"%s\"},"
				 " spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}",
				 name, born);
}

static void the_first_round_is_sorted_by_age_and_later_ones_by_change(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");
	size_t n;
	_cleanup_(freep) const struct object_service **services = NULL;

	(void)state;
	put_born(c, "young", "2024-03-01T00:00:00Z");
	put_born(c, "b-old", "2024-01-01T00:00:00Z");
	put_born(c, "a-old", "2024-01-01T00:00:00Z");
	assert_dirty(c, "a-old b-old young");

	(void)cluster_put_slice(c, "s1", "young", "10.0.0.1");
	(void)cluster_put_slice(c, "s2", "a-old", "10.0.0.1");
	assert_dirty(c, "young a-old");

	cluster_mark_all(c);
	cluster_mark_all(c);
	assert_dirty(c, "a-old b-old young");

	services = cluster_services(c, &n);
	assert_int_equal(n, 3);
	assert_string_equal(services[0]->base.name, "a-old");
	assert_string_equal(services[2]->base.name, "young");
}

static void put_triggered(struct cluster *c, const char *name, const char *trigger)
{
	(void)cluster_put_format(
		c,
		"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata:"
		" {name: %s, namespace: default, labels: {kubernetes.io/service-name: "
		"web},"
		" annotations: {endpoints.kubernetes.io/last-change-trigger-time: "
		"\"%s\"}},"
		" addressType: IPv4, endpoints: []}",
		name, trigger);
}

static void trigger_times_are_returned_once(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");
	int64_t got[4];

	(void)state;
	cluster_set_triggers_since(c, 1704067200000000); /* 2024-01-01 */
	put_triggered(c, "old", "2023-12-31T23:59:59Z");
	put_triggered(c, "a", "2024-01-01T00:00:01Z");
	put_triggered(c, "b", "2024-01-01T00:00:02.5Z");
	put_triggered(c, "b", "2024-01-01T00:00:02.5Z"); /* no change */
	put_triggered(c, "none", "yesterday");
	assert_int_equal(cluster_take_triggers(c, got, 4), 2);
	assert_int_equal(got[0], 1704067201000000);
	assert_int_equal(got[1], 1704067202500000);
	assert_int_equal(cluster_take_triggers(c, got, 4), 0);
	(void)cluster_del(c, OBJECT_SLICE, "default", "a");
	assert_int_equal(cluster_take_triggers(c, got, 4), 0);
}

/* The queue is never empty, yet doesn't grow: a take makes room. */
static void a_queue_that_is_never_empty_does_not_grow(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new("node-1");
	const char *ns, *name;

	(void)state;
	(void)cluster_put_slice(c, "s-a", "a", "10.0.0.1");
	(void)cluster_put_slice(c, "s-b", "b", "10.0.0.1");
	for (int i = 0; i < 1000; i++) {
		const char *next = i % 2 ? "b" : "a";

		assert_true(cluster_take_dirty(c, &ns, &name));
		assert_string_equal(name, next);
		(void)cluster_put_slice(c, i % 2 ? "s-b" : "s-a", next,
					i / 2 % 2 ? "10.0.0.1" : "10.0.0.2");
		assert_int_equal(cluster_n_dirty(c), 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_changed_objects_make_a_service_dirty),
		cmocka_unit_test(a_deleted_service_is_dirty_once_and_then_forgotten),
		cmocka_unit_test(an_object_may_be_deleted_by_its_own_strings),
		cmocka_unit_test(
			a_service_that_returns_before_its_release_is_dirty_again),
		cmocka_unit_test(slices_follow_their_label),
		cmocka_unit_test(many_slices_stay_sorted),
		cmocka_unit_test(endpoint_slices_hide_mirrored_endpoints),
		cmocka_unit_test(a_replace_removes_objects_that_it_did_not_put),
		cmocka_unit_test(a_replace_keeps_an_unreadable_object),
		cmocka_unit_test(changes_during_a_replace_are_kept),
		cmocka_unit_test(a_replace_that_is_not_ended_keeps_all_objects),
		cmocka_unit_test(only_the_own_node_is_kept),
		cmocka_unit_test(a_node_that_is_deleted_is_kept_as_it_was),
		cmocka_unit_test(service_cidrs_of_all_objects_are_joined),
		cmocka_unit_test(
			the_first_round_is_sorted_by_age_and_later_ones_by_change),
		cmocka_unit_test(trigger_times_are_returned_once),
		cmocka_unit_test(a_queue_that_is_never_empty_does_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
