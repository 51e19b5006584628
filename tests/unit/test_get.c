/*
 * `sluice get`: the program, on the rows of a control socket that a child process
 * serves.
 */
#include "tests/test.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/cli_run.h"
#include "tests/unit/served.h"

/* demo/old holds the external IP that demo/web claims, too. */
static const char objects[] =
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata: {name: web, namespace: demo, labels: {app: web, tier: front},\n"
	"  creationTimestamp: \"2026-01-02T00:00:00Z\"}\n"
	"spec: {clusterIP: 10.96.0.10, externalIPs: [198.51.100.7],\n"
	"  ports: [{name: http, port: 80}]}\n"
	"---\n"
	"apiVersion: discovery.k8s.io/v1\n"
	"kind: EndpointSlice\n"
	"metadata: {name: web, namespace: demo,\n"
	"  labels: {kubernetes.io/service-name: web}}\n"
	"addressType: IPv4\n"
	"endpoints: [{addresses: [10.244.1.1]},\n"
	"  {addresses: [10.244.1.2], conditions: {ready: false}}]\n"
	"ports: [{name: http, port: 8080}]\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata: {name: old, namespace: demo, labels: {app: old},\n"
	"  creationTimestamp: \"2026-01-01T00:00:00Z\"}\n"
	"spec: {clusterIP: 10.96.0.11, externalIPs: [198.51.100.7],\n"
	"  ports: [{name: http, port: 80}]}\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata: {name: web, namespace: other}\n"
	"spec: {clusterIP: 10.96.0.12, ports: [{port: 80}]}\n";

static int set_up(void **state)
{
	*state = served_new(objects, NULL);
	return 0;
}

static int tear_down(void **state)
{
	served_free(*state);
	return 0;
}

static struct cli_outcome get(const struct served *s, const char *const *args)
{
	const char *all[CLI_MAX_ARGS] = {"get", "--control-socket", s->path};

	for (size_t i = 0; i + 3 < CLI_MAX_ARGS && args[i]; i++)
		all[i + 3] = args[i];
	return cli_run("sluice", all, "");
}

#define OLD_ROWS                                                                         \
	"demo old ClusterIP 10.96.0.11 80/TCP Cluster 0 refused -\n"                     \
	"demo old ExternalIP 198.51.100.7 80/TCP Cluster 0 refused -\n"
#define WEB_ROWS                                                                         \
	"demo web ExternalIP 198.51.100.7 80/TCP Cluster 1 waiting -\n"                  \
	"demo web ClusterIP 10.96.0.10 80/TCP Cluster 1 served -\n"
#define OTHER_ROW "other web ClusterIP 10.96.0.12 80/TCP Cluster 0 refused -\n"

/* Without the age, which grows, and with single blanks. */
static const struct {
	const char *args[8];
	const char *rows;
} row_cases[] = {
	{{"services"}, OLD_ROWS WEB_ROWS OTHER_ROW},
	{{"svc", "-A"}, OLD_ROWS WEB_ROWS OTHER_ROW},
	{{"svc", "-n", "other"}, OTHER_ROW},
	{{"svc", "web"}, WEB_ROWS OTHER_ROW},
	{{"svc", "web", "-n", "demo"}, WEB_ROWS},
	{{"svc", "demo/web"}, WEB_ROWS},
	{{"svc", "-l", "app=web"}, WEB_ROWS},
	{{"svc", "-l", "app==web,tier=front"}, WEB_ROWS},
	{{"svc", "-l", "app=web,tier=back"}, ""},
	{{"svc", "-l", "app!=web"}, OLD_ROWS OTHER_ROW},
	{{"svc", "--sort-by", "endpoints"}, WEB_ROWS OLD_ROWS OTHER_ROW},
	{{"svc", "--sort-by", "age"}, WEB_ROWS OLD_ROWS OTHER_ROW},
	{{"svc", "--sort-by", "name"}, OLD_ROWS WEB_ROWS OTHER_ROW},
	{{"svc", "-n", "demo", "-o", "name"}, "demo/old\ndemo/web\n"},
	{{"ep", "web", "-n", "demo"},
	 "demo web http/TCP 10.244.1.1:8080 - ready -\n"
	 "demo web http/TCP 10.244.1.2:8080 - not-ready -\n"},
	{{"ep", "-l", "tier=front", "-o", "name"}, "demo/web\n"},
};

#define N_WORDS 9 /* of a Service's row before its age */

/* A single blank between the words of each line; the caller frees it. */
static char *squeeze(char *text)
{
	struct buf out = BUF_INIT;
	char *line, *word;

	while ((line = strsep(&text, "\n"))) {
		size_t n = 0;

		while ((word = strsep(&line, " ")))
			if (*word && n++ < N_WORDS)
				buf_printf(&out, "%s%s", n > 1 ? " " : "", word);
		if (n && text)
			buf_add_char(&out, '\n');
	}
	return out.data ? buf_take(&out) : xstrdup("");
}

static void each_selection_has_its_rows_in_order(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(row_cases); i++) {
		const char *args[9] = {"--no-headers"};
		_cleanup_(freep) char *rows = NULL;
		struct cli_outcome o;

		memcpy(args + 1, row_cases[i].args, sizeof(row_cases[i].args));
		o = get(*state, args);
		rows = squeeze(o.out.data);
		if (o.status != 0 || strcmp(rows, row_cases[i].rows) != 0)
			fail_msg("case %zu: status %d: %s%s", i, o.status, rows,
				 buf_string(&o.err));
		cli_outcome_fini(&o);
	}
}

static const struct {
	const char *args[8];
	int status;
	const char *out, *err; /* a part; NULL: nothing */
} text_cases[] = {
	{{"svc"}, 0, "NAMESPACE   NAME ", NULL},
	{{"svc", "-o", "wide"}, 0, "demo/old:http", NULL},
	{{"svc", "-o", "json"}, 0, "\"heldBy\": \"demo/old:http\"", NULL},
	{{"svc", "-o", "yaml"}, 0, "  state: waiting\n", NULL},
	{{"svc", "-n", "nope"}, 0, NULL, "No services in namespace nope.\n"},
	{{"ep", "-l", "a=b"}, 0, NULL, "No endpoints of Services with these labels.\n"},
	{{"svc", "-n", "nope", "-o", "json"}, 0, "[]\n", NULL},
	{{"svc", "web", "-n", "nope"},
	 1,
	 NULL,
	 "sluice: services \"web\" not found in namespace nope: there is no such "
	 "Service"},
	{{"svc", "/web"}, 2, NULL, "get: \"/web\" is not NAME or NAMESPACE/NAME"},
	{{"svc", "a", "b"}, 2, NULL, "get: unexpected argument \"b\""},
	{{"svc", "-l", "app"}, 2, NULL, "-l: \"app\" is not KEY=VALUE"},
	{{"svc", "--selector=,"}, 2, NULL, "--selector: \",\" is not KEY=VALUE"},
	{{"svc", "--sort-by", "x"}, 2, NULL, "--sort-by: \"x\" is not name, "},
	{{"svc", "-oxml"}, 2, NULL, "-o: \"xml\" is not wide, json, yaml or name"},
};

static void each_format_and_mistake_has_its_text(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(text_cases); i++) {
		struct cli_outcome o = get(*state, text_cases[i].args);
		const char *out = text_cases[i].out, *err = text_cases[i].err;

		if (o.status != text_cases[i].status ||
		    (out ? !strstr(buf_string(&o.out), out) : o.out.len > 0) ||
		    (err ? !strstr(buf_string(&o.err), err) : o.err.len > 0))
			fail_msg("case %zu: status %d: %s%s", i, o.status,
				 buf_string(&o.out), buf_string(&o.err));
		cli_outcome_fini(&o);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_selection_has_its_rows_in_order),
		cmocka_unit_test(each_format_and_mistake_has_its_text),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
