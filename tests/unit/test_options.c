/*
 * Command lines are read as pflag reads them, so that kube-proxy's work
 * unchanged.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "proxy/config/options.h"

#define MAX_ARGS 12

static int parse(struct options *o, const char *const *args, char **ret_error)
{
	char *argv[MAX_ARGS + 1];
	int argc = 0;

	options_init(o);
	for (; argc < MAX_ARGS && args[argc]; argc++)
		argv[argc] = (char *)args[argc];
	argv[argc] = NULL;
	return options_parse(o, argc, argv, ret_error);
}

/* The value of a flag in each notation. */
static const struct {
	const char *args[MAX_ARGS];
	const char *flag, *value;
} value_cases[] = {
	{{"sluice", "run", "--proxy-mode=nftables"}, "proxy-mode", "nftables"},
	{{"sluice", "run", "--proxy-mode", "nftables"}, "proxy-mode", "nftables"},
	{{"sluice", "run", "--proxy_mode", "nftables"}, "proxy-mode", "nftables"},
	{{"sluice", "run", "--proxy-mode="}, "proxy-mode", ""},
	{{"sluice", "run", "--masquerade-all"}, "masquerade-all", "true"},
	{{"sluice", "run", "--masquerade-all=false"}, "masquerade-all", "false"},
	{{"sluice", "run", "--masquerade-all=1"}, "masquerade-all", "true"},
	{{"sluice", "run", "--masquerade-all", "--masquerade-all=f"},
	 "masquerade-all",
	 "false"},
	{{"sluice", "run", "-v", "2"}, "v", "2"},
	{{"sluice", "run", "-v=2"}, "v", "2"},
	{{"sluice", "run", "-v2"}, "v", "2"},
	{{"sluice", "run", "--v=4"}, "v", "4"},
	{{"sluice", "run", "--iptables-sync-period=1m30s"},
	 "iptables-sync-period",
	 "1m30s"},
	{{"sluice", "run", "--iptables-sync-period", "1.5h"},
	 "iptables-sync-period",
	 "1h30m0s"},
	{{"sluice", "run", "--nodeport-addresses=10.0.0.0/8,primary"},
	 "nodeport-addresses",
	 "10.0.0.0/8,primary"},
	{{"sluice", "run", "--nodeport-addresses=10.0.0.0/8", "--nodeport-addresses",
	  "fd00::/8"},
	 "nodeport-addresses",
	 "10.0.0.0/8,fd00::/8"},
	{{"sluice", "run", "--feature-gates=A=true,B=false"},
	 "feature-gates",
	 "A=true,B=false"},
	{{"sluice", "run", "--manifests", "a,b", "--manifests=c"}, "manifests", "a,b,c"},
	{{"sluice", "run", "--oom-score-adj=-500"}, "oom-score-adj", "-500"},
	{{"sluice", "run", "--oom-score-adj", "-500"}, "oom-score-adj", "-500"},
	{{"sluice", "run", "--kube-api-qps=2.5"}, "kube-api-qps", "2.5"},
	{{"sluice", "run", "--version"}, "version", "true"},
	{{"sluice", "plan", "-o", "json"}, "output", "json"},
	{{"sluice", "plan", "-ojson"}, "output", "json"},
	{{"sluice", "get", "services", "-n", "default"}, "namespace", "default"},
	{{"sluice", "get", "-Andefault", "services"}, "namespace", "default"},
	{{"kube-proxy", "--once"}, "once", "true"},
	{{"/usr/local/bin/kube-proxy", "--once"}, "once", "true"},
};

static const struct flag *flag_of(const char *name)
{
	for (size_t i = 0; i < n_flags; i++)
		if (strcmp(flags[i].name, name) == 0)
			return &flags[i];
	return NULL;
}

static void flag_values_are_read_in_all_notations(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(value_cases); i++) {
		const struct flag *flag = flag_of(value_cases[i].flag);
		_cleanup_(freep) char *error = NULL;
		struct buf text = BUF_INIT;
		struct options o;

		assert_int_equal(parse(&o, value_cases[i].args, &error), 0);
		value_format(flag->kind, (char *)&o + flag->offset, &text);
		assert_string_equal(buf_string(&text), value_cases[i].value);
		buf_fini(&text);
		options_fini(&o);
	}
}

static const struct {
	const char *args[MAX_ARGS];
	const char *error;
} error_cases[] = {
	{{"sluice"}, "no command; see sluice --help"},
	{{"sluice", "frobnicate"}, "unknown command: frobnicate; see sluice --help"},
	{{"sluice", "--frobnicate"}, "unknown command: --frobnicate; see sluice --help"},
	{{"sluice", "run", "--frobnicate"},
	 "unknown flag: --frobnicate; see sluice run --help"},
	{{"sluice", "run", "--frobnicate=1"},
	 "unknown flag: --frobnicate; see sluice run --help"},
	{{"sluice", "run", "--"}, NULL},
	{{"sluice", "run", "--", "x"},
	 "run: unexpected argument \"x\"; see sluice run --help"},
	{{"sluice", "run", "-x"}, "unknown flag: -x; see sluice run --help"},
	{{"sluice", "run", "--=x"}, "unknown flag: --; see sluice run --help"},
	{{"sluice", "run", "extra"},
	 "run: unexpected argument \"extra\"; see sluice run --help"},
	{{"sluice", "run", "--masquerade-all", "false"},
	 "run: unexpected argument \"false\"; see sluice run --help"},
	{{"sluice", "run", "--proxy-mode"},
	 "--proxy-mode needs a value; see sluice run --help"},
	{{"sluice", "run", "-v"}, "-v needs a value; see sluice run --help"},
	{{"sluice", "run", "-vx"}, "-v: \"x\" is not a whole number up to 2147483647"},
	{{"sluice", "run", "--v=99999999999"},
	 "--v: \"99999999999\" is not a whole number up to 2147483647"},
	{{"sluice", "run", "--masquerade-all=maybe"},
	 "--masquerade-all: \"maybe\" is not true or false"},
	{{"sluice", "run", "--iptables-sync-period=30"},
	 "--iptables-sync-period: \"30\" is not a duration such as 1m30s or 250ms"},
	{{"sluice", "run", "--iptables-sync-period=1x"},
	 "--iptables-sync-period: \"1x\" is not a duration such as 1m30s or 250ms"},
	{{"sluice", "run", "--iptables-sync-period="},
	 "--iptables-sync-period: \"\" is not a duration such as 1m30s or 250ms"},
	{{"sluice", "run", "--feature-gates=A"},
	 "--feature-gates: \"A\" is not Name=true or Name=false, several by comma"},
	{{"sluice", "run", "--kube-api-qps=nan"},
	 "--kube-api-qps: \"nan\" is not a number"},
	{{"sluice", "run", "--iptables_sync_period=x"},
	 "--iptables_sync_period: \"x\" is not a duration such as 1m30s or 250ms"},
	{{"sluice", "get"},
	 "get needs an argument: services|endpoints [NAME]; see sluice get --help"},
	{{"sluice", "get", "services", "web", "more"},
	 "get: unexpected argument \"more\"; see sluice get --help"},
	{{"sluice", "explain"},
	 "explain needs an argument: TARGET...; see sluice explain --help"},
	{{"sluice", "version", "--manifests=x"},
	 "unknown flag: --manifests; see sluice version --help"},
	{{"kube-proxy", "run"},
	 "run: unexpected argument \"run\"; see kube-proxy --help"},
};

static void wrong_usage_is_one_line_of_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(error_cases); i++) {
		_cleanup_(freep) char *error = NULL;
		struct options o;
		int err = parse(&o, error_cases[i].args, &error);

		if (!error_cases[i].error) {
			assert_int_equal(err, 0);
		} else {
			assert_int_equal(err, -EINVAL);
			assert_string_equal(error, error_cases[i].error);
		}
		options_fini(&o);
	}
}

static void flags_for_rules_set_the_sections_of_both_modes(void **state)
{
	static const char *const args[MAX_ARGS] = {"kube-proxy", "--masquerade-all",
						   "--iptables-masquerade-bit=5",
						   "--iptables-min-sync-period=2s",
						   "--iptables-sync-period=20s"};
	const int64_t sec = 1000000000;
	_cleanup_(freep) char *error = NULL;
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, args, &error), 0);
	const struct config_rules *sections[] = {&o.config.iptables, &o.config.nftables};

	for (size_t i = 0; i < 2; i++) {
		assert_true(sections[i]->masquerade_all);
		assert_int_equal(sections[i]->masquerade_bit, 5);
		assert_int_equal(sections[i]->min_sync_period_ns, 2 * sec);
		assert_int_equal(sections[i]->sync_period_ns, 20 * sec);
	}
	options_fini(&o);
}

static void with_a_config_file_only_some_flags_count(void **state)
{
	static const char *const args[MAX_ARGS] = {"kube-proxy",
						   "--config=x",
						   "--hostname-override=node-1",
						   "--proxy-mode=nftables",
						   "--v=3",
						   "--manifests=a",
						   "--manifests=b"};
	_cleanup_(freep) char *error = NULL;
	struct options o, fresh;

	(void)state;
	assert_int_equal(parse(&o, args, &error), 0);
	options_init(&fresh);
	options_reapply(&o, &fresh);
	assert_string_equal(fresh.config.hostname_override, "node-1");
	assert_int_equal(fresh.config.logging.verbosity, 3);
	assert_string_equal(fresh.config.mode, "");
	assert_int_equal(fresh.config.manifests.n, 2);
	options_fini(&o);
	options_fini(&fresh);
}

/* As kube-proxy: only a file's bindAddress moves the servers, and a port of 0 disables one. */
static void flags_set_the_addresses_of_the_servers(void **state)
{
	static const struct {
		const char *args[MAX_ARGS];
		const char *healthz, *metrics;
	} cases[] = {
		{{"kube-proxy"}, "0.0.0.0:10256", "127.0.0.1:10249"},
		{{"kube-proxy", "--bind-address=::"}, "0.0.0.0:10256", "127.0.0.1:10249"},
		{{"kube-proxy", "--bind-address="}, "0.0.0.0:10256", "127.0.0.1:10249"},
		{{"kube-proxy", "--healthz-bind-address=", "--metrics-bind-address="},
		 "",
		 ""},
		{{"kube-proxy", "--healthz-port=0"}, "", "127.0.0.1:10249"},
		{{"kube-proxy", "--metrics-port=0"}, "0.0.0.0:10256", ""},
		{{"kube-proxy", "--healthz-port=99", "--metrics-port=98"},
		 "0.0.0.0:10256",
		 "127.0.0.1:10249"},
		{{"kube-proxy", "--healthz-bind-address=::1", "--healthz-port=99",
		  "--metrics-bind-address=10.0.0.1"},
		 "[::1]:99",
		 "10.0.0.1:10249"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(freep) char *error = NULL;
		struct buf errors = BUF_INIT;
		struct options o;

		assert_int_equal(parse(&o, cases[i].args, &error), 0);
		config_complete(&o.config);
		assert_true(config_validate(&o.config, &errors));
		assert_string_equal(o.config.healthz_bind_address, cases[i].healthz);
		assert_string_equal(o.config.metrics_bind_address, cases[i].metrics);
		options_fini(&o);
	}
}

static void userspace_listens_at_one_address_of_each_family(void **state)
{
	static const struct {
		const char *value, *errors;
	} cases[] = {
		{"--userspace-listen=127.0.0.1", ""},
		{"--userspace-listen=127.0.0.1,::1", ""},
		{"--userspace-listen=localhost",
		 "userspace-listen: \"localhost\" is not an address\n"},
		{"--userspace-listen=127.0.0.1:80",
		 "userspace-listen: \"127.0.0.1:80\" is not an address\n"},
		{"--userspace-listen=127.0.0.1,127.0.0.2",
		 "userspace-listen: has several addresses of one family\n"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const char *args[] = {"sluice", "run", cases[i].value, NULL};
		_cleanup_(freep) char *error = NULL;
		struct buf errors = BUF_INIT;
		struct options o;

		assert_int_equal(parse(&o, args, &error), 0);
		config_complete(&o.config);
		assert_int_equal(config_validate(&o.config, &errors), !*cases[i].errors);
		assert_string_equal(buf_string(&errors), cases[i].errors);
		buf_fini(&errors);
		options_fini(&o);
	}
}

/* All of kube-proxy 1.36.3's flags, from its --help, and those that it hides there. */
static const char *const kube_proxy_flags[] = {
	"boot-id-file",
	"healthz-port",
	"log-json-info-buffer-size",
	"log-json-split-stream",
	"machine-id-file",
	"metrics-port",
	"vmodule",
	"bind-address",
	"bind-address-hard-fail",
	"cleanup",
	"cluster-cidr",
	"config",
	"config-sync-period",
	"conntrack-max-per-core",
	"conntrack-min",
	"conntrack-tcp-be-liberal",
	"conntrack-tcp-timeout-close-wait",
	"conntrack-tcp-timeout-established",
	"conntrack-udp-timeout",
	"conntrack-udp-timeout-stream",
	"container-hints",
	"crio-client-timeout",
	"detect-local-mode",
	"disable-root-cgroup-stats",
	"enable-load-reader",
	"feature-gates",
	"healthz-bind-address",
	"help",
	"hostname-override",
	"init-only",
	"iptables-localhost-nodeports",
	"iptables-masquerade-bit",
	"iptables-min-sync-period",
	"iptables-sync-period",
	"ipvs-exclude-cidrs",
	"ipvs-min-sync-period",
	"ipvs-scheduler",
	"ipvs-strict-arp",
	"ipvs-sync-period",
	"ipvs-tcp-timeout",
	"ipvs-tcpfin-timeout",
	"ipvs-udp-timeout",
	"kube-api-burst",
	"kube-api-content-type",
	"kube-api-qps",
	"kubeconfig",
	"log-flush-frequency",
	"log-text-info-buffer-size",
	"log-text-split-stream",
	"logging-format",
	"masquerade-all",
	"master",
	"metrics-bind-address",
	"nodeport-addresses",
	"oom-score-adj",
	"pod-bridge-interface",
	"pod-interface-name-prefix",
	"profiling",
	"proxy-mode",
	"referenced-reset-interval",
	"show-hidden-metrics-for-version",
	"v",
	"version",
	"write-config-to",
};

static void every_flag_of_kube_proxy_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(kube_proxy_flags); i++) {
		const struct flag *flag = flag_of(kube_proxy_flags[i]);

		assert_non_null(flag);
		assert_true(flag->commands & 1u << COMMAND_RUN);
	}
}

static const struct {
	enum command command;
	const char *shown, *not_shown;
} help_cases[] = {
	{COMMAND_RUN, "--conntrack-min ", NULL},
	{COMMAND_RUN, "--manifests ", "--from "},
	{COMMAND_PLAN, "--cluster-cidr ", "--conntrack-min "},
	{COMMAND_PLAN, "--output ", "--metrics-bind-address "},
	{COMMAND_GET, "--namespace ", "text (default)"},
	{COMMAND_GET, "--sort-by ", "--from "},
	{COMMAND_EXPLAIN, "NAMESPACE/NAME[:PORT]", "--selector "},
	{COMMAND_TOP, "--once ", "--selector "},
	{COMMAND_TOP, "-n, --count ", "--all-namespaces "},
	{COMMAND_DIFF, "--manifests ", "--metrics-bind-address "},
	{COMMAND_EVENTS, "--watch ", "--selector "},
	{COMMAND_DIFF, "--control-socket ", "--output "},
	{COMMAND_CLEANUP, "--kube-proxy ", "--manifests "},
};

static void help_of_a_command_shows_only_flags_that_it_uses(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(help_cases); i++) {
		struct options options = {.command = help_cases[i].command};
		struct buf text = BUF_INIT;

		options_help(&options, &text);
		assert_non_null(strstr(buf_string(&text), help_cases[i].shown));
		if (help_cases[i].not_shown)
			assert_null(strstr(buf_string(&text), help_cases[i].not_shown));
		buf_fini(&text);
	}
}

static void no_line_of_help_is_wider_than_100_columns(void **state)
{
	(void)state;
	for (size_t command = 0; command <= COMMAND_N; command++) {
		struct options options = {.command = (enum command)command};
		struct buf text = BUF_INIT;
		char *rest, *line;

		options_help(&options, &text);
		for (rest = text.data; (line = strsep(&rest, "\n"));)
			if (strlen(line) > 100)
				fail_msg("%s", line);
		buf_fini(&text);
	}
}

static void help_of_run_names_every_flag(void **state)
{
	struct options options = {.command = COMMAND_RUN};
	struct buf text = BUF_INIT;
	char name[64];

	(void)state;
	options_help(&options, &text);
	for (size_t i = 0; i < n_flags; i++) {
		bool is_shown = (flags[i].commands & 1u << COMMAND_RUN) &&
				!(flags[i].properties & FLAG_HIDDEN);

		(void)snprintf(name, sizeof(name), "--%s ", flags[i].name);
		if (is_shown && !strstr(buf_string(&text), name)) {
			name[strlen(name) - 1] = '\n'; /* the last one of a line */
			assert_non_null(strstr(buf_string(&text), name));
		}
	}
	buf_fini(&text);
}

/* Every flag and command has its place in the manual. */
static void the_manual_has_every_flag(void **state)
{
	struct buf page = BUF_INIT;
	char bytes[4096];
	size_t len;
	FILE *file = fopen(TESTS_DIR "/../docs/sluice.8", "r");

	(void)state;
	assert_non_null(file);
	while ((len = fread(bytes, 1, sizeof(bytes), file)) > 0)
		buf_add(&page, bytes, len);
	(void)fclose(file);
	for (size_t i = 0; i < n_flags; i++) {
		char macro[80];

		(void)snprintf(macro, sizeof(macro), "Fl -%s", flags[i].name);
		if (!(flags[i].properties & FLAG_HIDDEN) &&
		    !strstr(buf_string(&page), macro))
			fail_msg("docs/sluice.8 has no --%s", flags[i].name);
	}
	for (size_t i = 0; i < COMMAND_N; i++)
		assert_non_null(strstr(buf_string(&page), commands[i].name));
	buf_fini(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flag_values_are_read_in_all_notations),
		cmocka_unit_test(wrong_usage_is_one_line_of_error),
		cmocka_unit_test(flags_for_rules_set_the_sections_of_both_modes),
		cmocka_unit_test(flags_set_the_addresses_of_the_servers),
		cmocka_unit_test(with_a_config_file_only_some_flags_count),
		cmocka_unit_test(every_flag_of_kube_proxy_is_known),
		cmocka_unit_test(help_of_a_command_shows_only_flags_that_it_uses),
		cmocka_unit_test(no_line_of_help_is_wider_than_100_columns),
		cmocka_unit_test(help_of_run_names_every_flag),
		cmocka_unit_test(the_manual_has_every_flag),
		cmocka_unit_test(userspace_listens_at_one_address_of_each_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
