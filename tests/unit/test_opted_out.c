/* Which Pods opt out of socket load balancing, and how they are asked for. */
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "tests/test.h"
#include "tests/unit/cluster_text.h"
#include "watchers/kube/reflector.h"
#include "watchers/kube/resource.h"

#define NODE "node-0"

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "a b": their UIDs in order. */
static void expect_opted_out(const struct cluster *c, const char *wanted)
{
	size_t n;
	_cleanup_(freep) const char **uids = cluster_opted_out(c, &n);
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	qsort(uids, n, sizeof(*uids), compare);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s%s", i ? " " : "", uids[i]);
	assert_string_equal(buf_string(&text), wanted);
}

static size_t put_pod(struct cluster *c, const char *name, const char *ns,
		      const char *annotations, const char *rest)
{
	return cluster_put_format(c,
				  "{apiVersion: v1, kind: Pod, metadata: {name: %s, "
				  "namespace: %s, uid: uid-%s, annotations: {%s}}, %s}",
				  name, ns, name, annotations, rest);
}

static size_t put_namespace(struct cluster *c, const char *name, const char *annotations)
{
	return cluster_put_format(c,
				  "{apiVersion: v1, kind: Namespace, metadata: {name: "
				  "%s, annotations: {%s}}}",
				  name, annotations);
}

#define OUT "sluice.io/socket-lb: disabled"
#define IN  "sluice.io/socket-lb: enabled"

static void a_pod_opts_out_by_its_annotation_or_that_of_its_namespace(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new(NODE);

	(void)state;
	assert_int_equal(put_pod(c, "a", "one", OUT, "spec: {nodeName: " NODE "}"), 1);
	assert_int_equal(put_pod(c, "b", "one", "", "spec: {}"), 1);
	assert_int_equal(put_pod(c, "c", "two", "", "spec: {}"), 1);
	assert_int_equal(put_pod(c, "d", "two", IN, "spec: {}"), 1);
	expect_opted_out(c, "uid-a");
	assert_true(cluster_take_pod_change(c));
	assert_false(cluster_take_pod_change(c));
	assert_int_equal(put_namespace(c, "two", OUT), 1);
	expect_opted_out(c, "uid-a uid-c");
	assert_true(cluster_take_pod_change(c));
	assert_int_equal(put_namespace(c, "two", OUT), 0);
	assert_false(cluster_take_pod_change(c));
	assert_int_equal(put_namespace(c, "two", ""), 1);
	expect_opted_out(c, "uid-a");
	assert_int_equal(put_pod(c, "a", "one", "", "spec: {nodeName: " NODE "}"), 1);
	expect_opted_out(c, "");
}

static void pods_without_a_cgroup_here_do_not_count(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new(NODE);

	(void)state;
	assert_int_equal(put_pod(c, "a", "one", OUT, "spec: {nodeName: node-1}"), 0);
	assert_int_equal(put_pod(c, "b", "one", OUT, "status: {phase: Succeeded}"), 1);
	assert_int_equal(put_pod(c, "c", "one", OUT, "status: {phase: Failed}"), 1);
	expect_opted_out(c, "");
	assert_int_equal(put_pod(c, "c", "one", OUT, "status: {phase: Running}"), 1);
	expect_opted_out(c, "uid-c");
	assert_int_equal(put_pod(c, "c", "one", OUT, "spec: {nodeName: node-1}"), 1);
	expect_opted_out(c, "");
	assert_int_equal(put_pod(c, "d", "one", OUT, "spec: {}"), 1);
	expect_opted_out(c, "uid-d");
	assert_true(cluster_del(c, OBJECT_POD, "one", "d"));
	expect_opted_out(c, "");
}

/* The kubelet has made up a UID of its own, which its cgroup is named by. */
static void a_static_pod_is_found_by_the_uid_of_its_kubelet(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new(NODE);

	(void)state;
	assert_int_equal(put_pod(c, "a", "one", OUT ", kubernetes.io/config.mirror: abc",
				 "spec: {}"),
			 1);
	expect_opted_out(c, "abc");
}

static void a_uid_that_could_lead_elsewhere_is_not_used(void **state)
{
	_cleanup_(cluster_freep) struct cluster *c = cluster_new(NODE);

	(void)state;
	assert_int_equal(put_pod(c, "a", "one",
				 OUT ", kubernetes.io/config.mirror: x/../..",
				 "spec: {}"),
			 1);
	expect_opted_out(c, "");
}

static void only_metadata_of_running_pods_of_this_node_is_read(void **state)
{
	const struct reflector_request list = {
		.verb = REFLECTOR_LIST,
		.resource_version = "0",
		.continue_token = "",
	};
	_cleanup_(buf_fini) struct buf path = BUF_INIT;

	(void)state;
	resource_format_path(OBJECT_POD, NODE, &list, &path);
	assert_string_equal(buf_string(&path),
			    "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-0"
			    "%2Cstatus.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed"
			    "&resourceVersion=0");
	assert_string_equal(
		resource_accept(OBJECT_POD, true),
		"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
	assert_string_equal(
		resource_accept(OBJECT_NAMESPACE, false),
		"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
	assert_null(resource_accept(OBJECT_SERVICE, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_pod_opts_out_by_its_annotation_or_that_of_its_namespace),
		cmocka_unit_test(pods_without_a_cgroup_here_do_not_count),
		cmocka_unit_test(a_static_pod_is_found_by_the_uid_of_its_kubelet),
		cmocka_unit_test(a_uid_that_could_lead_elsewhere_is_not_used),
		cmocka_unit_test(only_metadata_of_running_pods_of_this_node_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
