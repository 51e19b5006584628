/*
 * `sluice diff --manifests` against a daemon: the lines for each kind of change.
 */
#include "tests/test.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/cli_run.h"
#include "tests/unit/served.h"

#define SERVICE(name, ip, more)                                                          \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\n"               \
	"spec: {clusterIP: 10.96.0." ip ", ports: [{name: http, port: 80}]" more "}\n"
#define SLICE(name, endpoints)                                                           \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n" \
	"metadata: {name: " name "-1, labels: {kubernetes.io/service-name: " name "}}\n" \
	"endpoints: [" endpoints "]\nports: [{name: http, port: 8080}]\n"
#define ONE   "{addresses: [10.244.1.1]}"
#define OTHER "{addresses: [10.244.1.2]}"
#define WEB   SERVICE("web", "1", "") SLICE("web", ONE)
#define DB    SERVICE("db", "2", "")

static const struct {
	const char *manifests;
	const char *if_api, *if_manifests; /* printed, by the source of the daemon */
} cases[] = {
	{WEB DB, "", ""},
	{WEB, "",
	 "- default/db:http TCP IPv4\n"
	 "    - ClusterIP 10.96.0.2:80\n"
	 "    - ClusterIP 10.96.0.2:80 from external: reject\n"
	 "    - ClusterIP 10.96.0.2:80 from node: reject\n"
	 "    - ClusterIP 10.96.0.2:80 from pod: reject\n"},
	{SERVICE("web", "1", "") SLICE("web", OTHER) DB,
	 "~ default/web:http TCP IPv4\n"
	 "    - endpoint 10.244.1.1:8080\n"
	 "    + endpoint 10.244.1.2:8080\n",
	 "~ default/web:http TCP IPv4\n"
	 "    - endpoint 10.244.1.1:8080\n"
	 "    + endpoint 10.244.1.2:8080\n"},
	/* an API server keeps the endpoints of a Service that is applied alone */
	{SERVICE("web", "1", ", sessionAffinity: ClientIP") DB,
	 "~ default/web:http TCP IPv4\n"
	 "    + affinity seconds 10800\n",
	 "~ default/web:http TCP IPv4\n"
	 "    - ClusterIP 10.96.0.1:80 from external: balance over 1, source kept\n"
	 "    + ClusterIP 10.96.0.1:80 from external: reject\n"
	 "    - ClusterIP 10.96.0.1:80 from node: balance over 1, source kept\n"
	 "    + ClusterIP 10.96.0.1:80 from node: reject\n"
	 "    - ClusterIP 10.96.0.1:80 from pod: balance over 1, source kept\n"
	 "    + ClusterIP 10.96.0.1:80 from pod: reject\n"
	 "    + affinity seconds 10800\n"
	 "    - endpoint 10.244.1.1:8080\n"},
	{WEB DB SERVICE("new", "3", ""),
	 "+ default/new:http TCP IPv4\n"
	 "    + ClusterIP 10.96.0.3:80\n",
	 "+ default/new:http TCP IPv4\n"
	 "    + ClusterIP 10.96.0.3:80\n"
	 "    + ClusterIP 10.96.0.3:80 from external: reject\n"
	 "    + ClusterIP 10.96.0.3:80 from node: reject\n"
	 "    + ClusterIP 10.96.0.3:80 from pod: reject\n"},
};

static void check(const char *manifests, size_t i, const char *expected)
{
	struct served *s = served_new(WEB DB, manifests);
	const char *args[CLI_MAX_ARGS] = {"diff", "--manifests", "-", "--control-socket",
					  s->path};
	struct cli_outcome o = cli_run("sluice", args, cases[i].manifests);

	if (strcmp(buf_string(&o.out), expected) != 0)
		fail_msg("case %zu: %s%s", i, buf_string(&o.out), buf_string(&o.err));
	assert_int_equal(o.status, *expected ? 1 : 0);
	cli_outcome_fini(&o);
	served_free(s);
}

static void only_objects_of_the_manifests_count_beside_an_api_server(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(NULL, i, cases[i].if_api);
}

static void manifests_replace_those_of_the_daemon(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check("/etc/sluice", i, cases[i].if_manifests);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			only_objects_of_the_manifests_count_beside_an_api_server),
		cmocka_unit_test(manifests_replace_those_of_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
