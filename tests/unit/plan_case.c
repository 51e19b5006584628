/*
 * From a manifest to a line of text, through everything but the command line.
 */
#include "tests/unit/plan_case.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/state.h"
#include "tests/test.h"
#include "tests/unit/cluster_text.h"
#include "watchers/plan/plan.h"
#include "watchers/plan/plan_print.h"

#define CASES TESTS_DIR "/golden/plan"

DEFINE_CLEANUP(struct state *, state_free);

/* A line of the file `cases`. */
struct row {
	char manifest[64];
	char node_name[64];
	struct plan_options options;
};

static void read_flag(struct row *row, const char *flag, const char *value)
{
	if (!strcmp(flag, "--hostname-override"))
		(void)snprintf(row->node_name, sizeof(row->node_name), "%s", value);
	else if (!strcmp(flag, "--cluster-cidr"))
		row->options
			.has_detector[strchr(value, ':') ? FAMILY_IPV6 : FAMILY_IPV4] =
			true;
	else if (!strcmp(flag, "--masquerade-all"))
		row->options.masquerade_all = true;
	else if (!strcmp(value, "PreferSameTrafficDistribution=false"))
		row->options.use_node_hints = false;
	else if (!strcmp(value, "AllowServiceExternalIPs=false"))
		row->options.allow_external_ips = false;
	else
		fail_msg("flag %s %s is unknown to this test", flag, value);
}

static void read_flags(struct row *row, char *text)
{
	char *save = NULL, *flag = strtok_r(text, " \n", &save);

	while (flag) {
		char *value = strtok_r(NULL, " \n", &save);
		bool has_value = value && strncmp(value, "--", 2) != 0;

		read_flag(row, flag, has_value ? value : "");
		flag = has_value ? strtok_r(NULL, " \n", &save) : value;
	}
}

static bool read_row(const char *name, char *line, struct row *row)
{
	char found[64];
	int flags = 0;

	if (sscanf(line, "%63s %63s %n", found, row->manifest, &flags) < 2 ||
	    strcmp(found, name) != 0)
		return false;
	read_flags(row, line + flags);
	return true;
}

static void find_row(const char *name, struct row *row)
{
	_cleanup_(fclosep) FILE *f = fopen(CASES "/cases", "re");
	char line[512];

	*row = (struct row){
		.options = {.use_node_hints = true,
			    .allow_external_ips = true,
			    .keep_nodeports = true},
	};
	row->options.node_name = row->node_name;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (read_row(name, line, row))
			return;
	fail_msg("no case %s in %s", name, CASES "/cases");
}

static char *read_file(const char *name, const char *suffix, size_t *ret_len)
{
	_cleanup_(fclosep) FILE *f = NULL;
	struct buf text = BUF_INIT;
	char path[512], chunk[4096];
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/%s%s", CASES, name, suffix);
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s can't be read", path);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&text, chunk, n);
	*ret_len = text.len;
	return buf_take(&text);
}

static json_t *plan_of(const char *name)
{
	_cleanup_(cluster_freep) struct cluster *cluster = NULL;
	_cleanup_(state_freep) struct state *state = state_new();
	_cleanup_(freep) char *manifest = NULL;
	struct buf out = BUF_INIT;
	struct row row;
	json_t *plan;
	size_t len;

	find_row(name, &row);
	cluster = cluster_new(row.node_name);
	manifest = read_file(row.manifest, "", &len);
	(void)cluster_put_text(cluster, manifest);
	(void)plan_dirty(cluster, &row.options, state, SIZE_MAX);
	assert_int_equal(plan_print(&(struct plan_print_input){.node_name = row.node_name,
							       .zone = "",
							       .state = state},
				    "json", &out),
			 0);
	plan = json_loadb(out.data, out.len, 0, NULL);
	buf_fini(&out);
	assert_non_null(plan);
	return plan;
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

static json_int_t number_at(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

/* "10.1.0.3:80" -> "0.3" */
static void print_endpoint(const char *endpoint, struct buf *out)
{
	const char *port = strrchr(endpoint, ':');
	const char *from = endpoint;
	int n_dots = 0;

	assert_non_null(port);
	if (*endpoint != '[')
		for (from = port; from > endpoint && n_dots < 2; from--)
			n_dots += from[-1] == '.';
	if (n_dots == 2)
		from++;
	buf_add(out, from, (size_t)(port - from));
	if (strcmp(port, ":80") != 0)
		buf_add_string(out, port);
}

static void print_decision(const json_t *decision, struct buf *out)
{
	const char *action = text_at(decision, "action");
	const json_t *endpoints = json_object_get(decision, "endpoints");
	bool is_masked = json_is_true(json_object_get(decision, "masquerade"));
	size_t n = json_array_size(endpoints);

	if (strcmp(action, "balance") != 0) {
		assert_int_equal(n, 0);
		assert_false(is_masked);
		buf_add_string(out, !strcmp(action, "reject") ? "REJ" : "DROP");
		return;
	}
	buf_add_string(out, "ok(");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(out, ' ');
		print_endpoint(json_string_value(json_array_get(endpoints, i)), out);
	}
	buf_add_string(out, is_masked ? ")+m" : ")");
}

static void print_sources(const json_t *from, struct buf *out)
{
	const json_t *pod = json_object_get(from, "pod");
	const json_t *node = json_object_get(from, "node");
	const json_t *external = json_object_get(from, "external");

	assert_int_equal(json_object_size(from), 3);
	print_decision(pod, out);
	if (json_equal(pod, node) && json_equal(node, external))
		return;
	buf_add_string(out, " / ");
	print_decision(node, out);
	if (json_equal(node, external))
		return;
	buf_add_string(out, " / ");
	print_decision(external, out);
}

static void print_allowed(const json_t *allowed, struct buf *out)
{
	for (size_t i = 0; i < json_array_size(allowed); i++)
		buf_printf(out, "%s%s", i ? " " : " from[",
			   json_string_value(json_array_get(allowed, i)));
	if (json_array_size(allowed) > 0)
		buf_add_char(out, ']');
}

static void print_frontend(const json_t *f, struct buf *out)
{
	const char *address = text_at(f, "address");

	buf_printf(out, " | %s ", text_at(f, "kind"));
	buf_printf(out, strchr(address, ':') ? "[%s]" : "%s", address);
	buf_printf(out, ":%lld", (long long)number_at(f, "port"));
	print_allowed(json_object_get(f, "allowedSources"), out);
	buf_add_char(out, ' ');
	print_sources(json_object_get(f, "from"), out);
}

static void print_number(const json_t *service, const char *key, const char *word,
			 struct buf *out)
{
	if (number_at(service, key) != 0)
		buf_printf(out, " %s=%lld", word, (long long)number_at(service, key));
}

static void print_service(const json_t *s, struct buf *out)
{
	const json_t *frontends = json_object_get(s, "frontends");

	buf_add_string(out, text_at(s, "name"));
	if (*text_at(s, "portName"))
		buf_printf(out, ":%s", text_at(s, "portName"));
	if (strcmp(text_at(s, "protocol"), "TCP") != 0)
		buf_printf(out, "/%s", text_at(s, "protocol"));
	if (strcmp(text_at(s, "family"), "IPv4") != 0)
		buf_printf(out, " %s", text_at(s, "family"));
	print_number(s, "affinitySeconds", "affinity", out);
	print_number(s, "healthCheckNodePort", "health", out);
	print_number(s, "localReadyEndpoints", "ready", out);
	for (size_t i = 0; i < json_array_size(frontends); i++)
		print_frontend(json_array_get(frontends, i), out);
}

static void print_conflict(const json_t *c, struct buf *out)
{
	buf_printf(out, "conflict %s %s:%lld: %s has it, %s waits", text_at(c, "kind"),
		   text_at(c, "address"), (long long)number_at(c, "port"),
		   text_at(json_object_get(c, "holder"), "name"),
		   text_at(json_object_get(c, "waiting"), "name"));
}

static char *print_plan(const json_t *plan)
{
	static const struct {
		const char *key;
		void (*format)(const json_t *item, struct buf *out);
	} lists[] = {
		{"services", print_service},
		{"conflicts", print_conflict},
	};
	struct buf out = BUF_INIT;

	for (size_t l = 0; l < N_ELEMENTS(lists); l++) {
		const json_t *list = json_object_get(plan, lists[l].key);

		assert_true(json_is_array(list));
		for (size_t i = 0; i < json_array_size(list); i++) {
			if (out.len > 0)
				buf_add_char(&out, '\n');
			lists[l].format(json_array_get(list, i), &out);
		}
	}
	return out.len > 0 ? buf_take(&out) : strdup("");
}

static void check(const struct plan_case *c, const char *what, const json_t *plan)
{
	_cleanup_(freep) char *got = print_plan(plan);

	if (strcmp(got, c->want) != 0)
		fail_msg("%s, %s\nwant:\n%s\ngot:\n%s", c->name, what, c->want, got);
}

void plan_case_check(const struct plan_case *c)
{
	_cleanup_(json_decrefp) json_t *plan = plan_of(c->name);
	_cleanup_(json_decrefp) json_t *golden = NULL;
	_cleanup_(freep) char *text = NULL;
	size_t len;

	check(c, "as planned", plan);
	text = read_file(c->name, ".json", &len);
	golden = json_loadb(text, len, 0, NULL);
	assert_non_null(golden);
	check(c, "as kept", golden);
}
