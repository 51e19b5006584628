/*
 * KubeProxyConfiguration: kube-proxy's defaults, reading, checking, writing.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/config/config_file.h"
#include "tests/unit/capture.h"

#define HEADER                                                                           \
	"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

static const struct {
	const char *text;
	int64_t ns; /* -1: refused */
	const char *canonical;
} duration_cases[] = {
	{"0", 0, "0s"},
	{"0s", 0, "0s"},
	{"30s", 30000000000, "30s"},
	{"1m30s", 90000000000, "1m30s"},
	{"15m", 900000000000, "15m0s"},
	{"24h", 86400000000000, "24h0m0s"},
	{"1.5s", 1500000000, "1.5s"},
	{".5s", 500000000, "500ms"},
	{"10ms", 10000000, "10ms"},
	{"1500us", 1500000, "1.5ms"},
	{"7ns", 7, "7ns"},
	{"1h0.5s", 3600500000000, "1h0m0.5s"},
	{"-5s", -5000000000, "-5s"},
	{"", -1, NULL},
	{"-", -1, NULL},
	{"5", -1, NULL},
	{"s", -1, NULL},
	{".s", -1, NULL},
	{"5 s", -1, NULL},
	{"5sec", -1, NULL},
	{"1.2.3s", -1, NULL},
	{"99999999999999h", -1, NULL},
};

static void durations_are_read_and_written_as_in_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(duration_cases); i++) {
		struct buf text = BUF_INIT;
		int64_t ns = -1;
		int err = duration_parse(duration_cases[i].text, &ns);

		if (!duration_cases[i].canonical) {
			assert_int_equal(err, -EINVAL);
			continue;
		}
		assert_int_equal(err, 0);
		assert_int_equal(ns, duration_cases[i].ns);
		duration_format(ns, &text);
		assert_string_equal(buf_string(&text), duration_cases[i].canonical);
		buf_fini(&text);
	}
}

/* kube-proxy 1.36.3's --write-config-to, but for what config.h says is ours. */
static const struct {
	const char *path, *value;
} default_cases[] = {
	{"bindAddress", "0.0.0.0"},
	{"clientConnection.burst", "10"},
	{"clientConnection.contentType", "application/vnd.kubernetes.protobuf"},
	{"clientConnection.qps", "5"},
	{"configSyncPeriod", "15m0s"},
	{"conntrack.maxPerCore", "32768"},
	{"conntrack.min", "131072"},
	{"conntrack.tcpCloseWaitTimeout", "1h0m0s"},
	{"conntrack.tcpEstablishedTimeout", "24h0m0s"},
	{"conntrack.udpTimeout", "0s"},
	{"detectLocalMode", "ClusterCIDR"},
	{"healthzBindAddress", "0.0.0.0:10256"},
	{"iptables.localhostNodePorts", "true"},
	{"iptables.masqueradeBit", "14"},
	{"iptables.syncPeriod", "30s"},
	{"logging.flushFrequency", "5s"},
	{"logging.format", "text"},
	{"metricsBindAddress", "127.0.0.1:10249"},
	{"nftables.masqueradeBit", "14"},
	{"nftables.syncPeriod", "30s"},
	{"oomScoreAdj", "-999"},
};

static char *field_text(struct config *c, const char *path)
{
	const struct config_field *f = config_field_find(path);
	struct buf text = BUF_INIT;

	assert_non_null(f);
	value_format(f->kind, config_slot(c, f), &text);
	return text.data ? buf_take(&text) : xstrdup("");
}

static void assert_field(struct config *c, const char *path, const char *expected)
{
	_cleanup_(freep) char *text = field_text(c, path);

	assert_string_equal(text, expected);
}

static void defaults_are_those_of_kube_proxy(void **state)
{
	struct buf errors = BUF_INIT;
	struct config c;

	(void)state;
	config_init(&c);
	for (size_t i = 0; i < N_ELEMENTS(default_cases); i++)
		assert_field(&c, default_cases[i].path, default_cases[i].value);
	config_complete(&c);
	assert_true(config_validate(&c, &errors));
	assert_int_equal(errors.len, 0);
	config_fini(&c);
}

static void fields_are_sorted_by_path(void **state)
{
	(void)state;
	for (size_t i = 1; i < config_n_fields; i++)
		assert_true(strcmp(config_fields[i - 1].path, config_fields[i].path) < 0);
}

/* As `kubeadm init` puts it into the ConfigMap kube-proxy. */
static const char kubeadm_config[] =
	HEADER "bindAddress: 0.0.0.0\n"
	       "bindAddressHardFail: false\n"
	       "clientConnection:\n"
	       "  acceptContentTypes: \"\"\n"
	       "  burst: 0\n"
	       "  contentType: \"\"\n"
	       "  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf\n"
	       "  qps: 0\n"
	       "clusterCIDR: 10.244.0.0/16\n"
	       "configSyncPeriod: 0s\n"
	       "conntrack:\n"
	       "  maxPerCore: null\n"
	       "  min: null\n"
	       "  tcpBeLiberal: false\n"
	       "  tcpCloseWaitTimeout: null\n"
	       "  tcpEstablishedTimeout: null\n"
	       "  udpStreamTimeout: 0s\n"
	       "  udpTimeout: 0s\n"
	       "detectLocal:\n"
	       "  bridgeInterface: \"\"\n"
	       "  interfaceNamePrefix: \"\"\n"
	       "detectLocalMode: \"\"\n"
	       "enableProfiling: false\n"
	       "healthzBindAddress: \"\"\n"
	       "hostnameOverride: \"\"\n"
	       "iptables:\n"
	       "  localhostNodePorts: null\n"
	       "  masqueradeAll: false\n"
	       "  masqueradeBit: null\n"
	       "  minSyncPeriod: 0s\n"
	       "  syncPeriod: 0s\n"
	       "ipvs:\n"
	       "  excludeCIDRs: null\n"
	       "  minSyncPeriod: 0s\n"
	       "  scheduler: \"\"\n"
	       "  strictARP: false\n"
	       "  syncPeriod: 0s\n"
	       "  tcpFinTimeout: 0s\n"
	       "  tcpTimeout: 0s\n"
	       "  udpTimeout: 0s\n"
	       "logging:\n"
	       "  flushFrequency: 0\n"
	       "  options:\n"
	       "    json:\n"
	       "      infoBufferSize: \"0\"\n"
	       "    text:\n"
	       "      infoBufferSize: \"0\"\n"
	       "  verbosity: 0\n"
	       "metricsBindAddress: \"\"\n"
	       "mode: \"\"\n"
	       "nftables:\n"
	       "  masqueradeAll: false\n"
	       "  masqueradeBit: null\n"
	       "  minSyncPeriod: 0s\n"
	       "  syncPeriod: 0s\n"
	       "nodePortAddresses: null\n"
	       "oomScoreAdj: null\n"
	       "portRange: \"\"\n"
	       "showHiddenMetricsForVersion: \"\"\n"
	       "winkernel:\n"
	       "  enableDSR: false\n"
	       "  forwardHealthCheckVip: false\n"
	       "  networkName: \"\"\n"
	       "  rootHnsEndpointName: \"\"\n"
	       "  sourceVip: \"\"\n";

static void load(struct config *c, const char *text)
{
	_cleanup_(freep) char *error = NULL;

	config_init(c);
	assert_int_equal(config_file_parse(text, strlen(text), "test", c, &error), 0);
	assert_null(error);
	config_complete(c);
}

static void a_file_that_kubeadm_wrote_is_accepted(void **state)
{
	struct buf errors = BUF_INIT;
	struct config c;

	(void)state;
	load(&c, kubeadm_config);
	assert_true(config_validate(&c, &errors));
	assert_field(&c, "clientConnection.kubeconfig",
		     "/var/lib/kube-proxy/kubeconfig.conf");
	assert_field(&c, "clusterCIDR", "10.244.0.0/16");
	assert_field(&c, "configSyncPeriod", "15m0s");
	assert_field(&c, "conntrack.maxPerCore", "32768");
	assert_field(&c, "detectLocalMode", "ClusterCIDR");
	assert_field(&c, "iptables.syncPeriod", "30s");
	assert_field(&c, "oomScoreAdj", "-999");
	assert_field(&c, "healthzBindAddress", "0.0.0.0:10256");
	assert_field(&c, "metricsBindAddress", "127.0.0.1:10249");
	config_fini(&c);
	buf_fini(&errors);
}

static const struct {
	const char *text, *path, *value;
} read_cases[] = {
	{HEADER "mode: nftables\n", "mode", "nftables"},
	{HEADER "nodePortAddresses: [primary, 10.0.0.0/8]\n", "nodePortAddresses",
	 "primary,10.0.0.0/8"},
	{HEADER "featureGates: {WatchListClient: false}\n", "featureGates",
	 "WatchListClient=false"},
	{HEADER "healthzBindAddress: 1.2.3.4\n", "healthzBindAddress", "1.2.3.4:10256"},
	{HEADER "bindAddress: '::'\n", "healthzBindAddress", "[::]:10256"},
	{HEADER "bindAddress: '::'\n", "metricsBindAddress", "[::1]:10249"},
	{HEADER "bindAddress: fd00::1\nmetricsBindAddress: 0.0.0.0:1\n",
	 "metricsBindAddress", "0.0.0.0:1"},
	{HEADER "bindAddress: '::'\nhealthzBindAddress: 0.0.0.0:10256\n",
	 "healthzBindAddress", "0.0.0.0:10256"},
	{HEADER "bindAddress: ''\n", "bindAddress", "0.0.0.0"},
	{HEADER "mode: nftables\n", "nodePortAddresses", "primary"},
	{HEADER "mode: nftables\nnodePortAddresses: [all]\n", "nodePortAddresses", "all"},
	{HEADER "mode: iptables\n", "nodePortAddresses", ""},
	{HEADER "logging: {flushFrequency: 7000000000}\n", "logging.flushFrequency",
	 "7s"},
	{HEADER "clientConnection: {qps: 7.5, burst: 3}\n", "clientConnection.qps",
	 "7.5"},
	{HEADER "unheardOf: 3\nmode: nftables\n", "mode", "nftables"},
	{HEADER "iptables: {unheardOf: {a: b}, syncPeriod: 9s}\n", "iptables.syncPeriod",
	 "9s"},
	{HEADER "mode: iptables\nmode: nftables\n", "mode", "nftables"},
	{"{\"apiVersion\":\"kubeproxy.config.k8s.io/v1alpha1\","
	 "\"kind\":\"KubeProxyConfiguration\",\"mode\":\"ebpf\"}",
	 "mode", "ebpf"},
};

static void fields_of_a_file_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(read_cases); i++) {
		struct config c;

		load(&c, read_cases[i].text);
		assert_field(&c, read_cases[i].path, read_cases[i].value);
		config_fini(&c);
	}
}

static size_t count_lines_with(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

/* As many of both as fit into a file: the log names the first ten of each. */
static void many_unknown_or_repeated_fields_cost_few_lines(void **state)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	const char *log;
	struct config c;

	(void)state;
	buf_add_string(&text, HEADER);
	for (unsigned i = 0; i < 30000; i++)
		buf_printf(&text, "unheardOf%u: 1\n", i);
	for (unsigned i = 0; i < 3000; i++)
		buf_add_string(&text, "mode: nftables\n");
	capture_start();
	load(&c, buf_string(&text));
	log = capture_end();
	assert_field(&c, "mode", "nftables");
	assert_int_equal(count_lines_with(log, "unknown field unheardOf"), 10);
	assert_int_equal(count_lines_with(log, "and 29990 more unknown fields"), 1);
	assert_int_equal(count_lines_with(log,
					  "duplicate field mode; using the last one"),
			 10);
	assert_int_equal(count_lines_with(log, "and 2989 more duplicate fields"), 1);
	config_fini(&c);
}

static const struct {
	const char *text, *error;
} unreadable_cases[] = {
	{"", "test: document: there is none"},
	{"[]", "test: document: not an object"},
	{"mode: nftables\n", "test: kind: not KubeProxyConfiguration"},
	{"apiVersion: kubeproxy.config.k8s.io/v1beta9\nkind: KubeProxyConfiguration\n",
	 "test: apiVersion: not kubeproxy.config.k8s.io/v1alpha1"},
	{"apiVersion: v1\nkind: ConfigMap\n", "test: kind: not KubeProxyConfiguration"},
	{HEADER "mode: 'unclosed\n",
	 "test: line 4: found unexpected end of stream, while scanning a quoted scalar"},
	{HEADER "mode: [a]\n", "test: mode: not a string"},
	{HEADER "iptables: 3\n", "test: iptables: not an object"},
	{HEADER "iptables: {masqueradeBit: many}\n",
	 "test: iptables.masqueradeBit: not a number in range"},
	{HEADER "iptables: {masqueradeAll: 1}\n",
	 "test: iptables.masqueradeAll: not a boolean"},
	{HEADER "iptables: {syncPeriod: soon}\n",
	 "test: iptables.syncPeriod: not a duration like 30s"},
	{HEADER "configSyncPeriod: 5\n",
	 "test: configSyncPeriod: not a duration like 30s"},
	{HEADER "conntrack: {udpTimeout: 30}\n",
	 "test: conntrack.udpTimeout: not a duration like 30s"},
	{HEADER "nodePortAddresses: primary\n", "test: nodePortAddresses: not a list"},
	{HEADER "nodePortAddresses: [1]\n",
	 "test: nodePortAddresses: an item is not a string"},
	{HEADER "featureGates: [A]\n", "test: featureGates: not an object of booleans"},
	{HEADER "featureGates: {A: 1}\n",
	 "test: featureGates: not an object of booleans"},
};

static void unreadable_files_are_refused_with_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(unreadable_cases); i++) {
		const char *text = unreadable_cases[i].text;
		_cleanup_(freep) char *error = NULL;
		struct config c;

		config_init(&c);
		assert_int_equal(config_file_parse(text, strlen(text), "test", &c,
						   &error),
				 -EINVAL);
		assert_string_equal(error, unreadable_cases[i].error);
		config_fini(&c);
	}
}

static const struct {
	const char *text, *error; /* NULL: valid */
} validate_cases[] = {
	{"mode: kernelspace\n",
	 "mode: \"kernelspace\" is not supported by this build; use auto, nftables "
	 "(iptables and ipvs mean auto)"},
	{"mode: ipvs\n", NULL},
	{"iptables: {syncPeriod: 0s}\n", NULL},
	{"iptables: {syncPeriod: -1s}\n",
	 "iptables.syncPeriod: must be greater than 0\n"
	 "iptables.minSyncPeriod: is longer than syncPeriod"},
	{"iptables: {minSyncPeriod: 40s}\n",
	 "iptables.minSyncPeriod: is longer than syncPeriod"},
	{"mode: nftables\nnftables: {minSyncPeriod: -1s}\n",
	 "nftables.minSyncPeriod: must not be negative"},
	/* the section of another mode is not validated */
	{"mode: iptables\nnftables: {minSyncPeriod: -1s, masqueradeBit: 32}\n", NULL},
	{"mode: nftables\niptables: {syncPeriod: 1s, minSyncPeriod: 2s}\n", NULL},
	{"iptables: {masqueradeBit: 31}\n", NULL},
	{"iptables: {masqueradeBit: 32}\n", "iptables.masqueradeBit: 32 is not in 0..31"},
	{"mode: nftables\nnftables: {masqueradeBit: -1}\n",
	 "nftables.masqueradeBit: -1 is not in 0..31"},
	{"clusterCIDR: 10.0.0.0/8,fd00::/48\n", NULL},
	{"clusterCIDR: '10.0.0.0/8,11.0.0.0/8'\n",
	 "clusterCIDR: \"10.0.0.0/8,11.0.0.0/8\" has more than one CIDR of a family"},
	{"clusterCIDR: '10.0.0.0/8,fd00::/48,11.0.0.0/8'\n",
	 "clusterCIDR: \"10.0.0.0/8,fd00::/48,11.0.0.0/8\" has more than one CIDR of a "
	 "family"},
	{"clusterCIDR: anything\n", "clusterCIDR: \"anything\" is not a CIDR"},
	{"detectLocalMode: NodeCIDR\nclusterCIDR: anything\n", NULL},
	{"healthzBindAddress: 0.0.0.0:70000\n",
	 "healthzBindAddress: \"0.0.0.0:70000\" is not an address with a port"},
	{"metricsBindAddress: somewhere:80\n",
	 "metricsBindAddress: \"somewhere:80\" is not an address with a port"},
	{"bindAddress: host\n", "bindAddress: \"host\" is not an address"},
	{"oomScoreAdj: -1001\n", "oomScoreAdj: -1001 is not in -1000..1000"},
	{"conntrack: {min: -1}\n", "conntrack.min: -1 is not in 0..2147483647"},
	{"conntrack: {udpTimeout: -1s}\n", "conntrack.udpTimeout: must not be negative"},
	{"nodePortAddresses: [10.0.0.0/33]\n",
	 "nodePortAddresses: \"10.0.0.0/33\" is neither a network nor one of primary, "
	 "localhost, all"},
	{"nodePortAddresses: [primary, localhost, all, 10.0.0.0/8]\n", NULL},
	{"featureGates: {APIResponseCompression: true, NewInTheNextRelease: false}\n",
	 NULL},
	{"detectLocalMode: BridgeInterface\n",
	 "detectLocal.bridgeInterface: must be set for this detectLocalMode"},
	{"detectLocalMode: InterfaceNamePrefix\n",
	 "detectLocal.interfaceNamePrefix: must be set for this detectLocalMode"},
	{"detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: "
	 "veth}\n",
	 NULL},
	{"detectLocalMode: Guess\n",
	 "detectLocalMode: \"Guess\" is not one of ClusterCIDR, NodeCIDR, "
	 "BridgeInterface, InterfaceNamePrefix"},
	{"logging: {format: xml}\n", "logging.format: \"xml\" is not text or json"},
	{"mode: ipvs\nipvs: {excludeCIDRs: [x]}\n",
	 "ipvs.excludeCIDRs: \"x\" is not a CIDR"},
	{"mode: ipvs\nipvs: {tcpTimeout: -1s}\n",
	 "ipvs.tcpTimeout: must not be negative"},
	{"mode: ipvs\nipvs: {minSyncPeriod: 1h}\n",
	 "ipvs.minSyncPeriod: is longer than syncPeriod"},
	{"ipvs: {excludeCIDRs: [x], tcpTimeout: -1s, minSyncPeriod: 1h}\n", NULL},
};

static void invalid_values_are_refused_with_field_and_reason(void **state)
{
	static const char *const modes[] = {"nftables", NULL};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(validate_cases); i++) {
		_cleanup_(freep) char *text =
			xasprintf("%s%s", HEADER, validate_cases[i].text);
		struct buf errors = BUF_INIT;
		struct config c;
		bool is_valid;

		load(&c, text);
		c.modes = modes;
		is_valid = config_validate(&c, &errors);
		if (is_valid != !validate_cases[i].error)
			fail_msg("%s: %s", validate_cases[i].text, buf_string(&errors));
		if (validate_cases[i].error) {
			_cleanup_(freep) char *line =
				xasprintf("%s\n", validate_cases[i].error);

			assert_string_equal(buf_string(&errors), line);
		}
		buf_fini(&errors);
		config_fini(&c);
	}
}

/* Zero in a file means the default; from a flag it counts. */
static void zero_from_a_flag_is_kept(void **state)
{
	struct buf errors = BUF_INIT;
	struct config c;

	(void)state;
	config_init(&c);
	c.iptables.sync_period_ns = 0;
	c.conntrack.tcp_established_ns = 0;
	*c.metrics_bind_address = '\0';
	config_complete(&c);
	assert_field(&c, "conntrack.tcpEstablishedTimeout", "0s");
	assert_field(&c, "metricsBindAddress", "");
	assert_false(config_validate(&c, &errors));
	assert_string_equal(buf_string(&errors),
			    "iptables.syncPeriod: must be greater than 0\n");
	buf_fini(&errors);
	config_fini(&c);
}

static void only_the_section_of_the_mode_counts(void **state)
{
	static const struct {
		const char *mode;
		bool is_iptables;
	} cases[] = {{"", true},
		     {"iptables", true},
		     {"ipvs", true},
		     {"nftables", false},
		     {"auto", false}};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(freep) char *text =
			xasprintf("%smode: '%s'\n", HEADER, cases[i].mode);
		struct config c;

		load(&c, text);
		assert_ptr_equal(config_rules(&c),
				 cases[i].is_iptables ? &c.iptables : &c.nftables);
		config_fini(&c);
	}
}

static void a_written_configuration_reads_back_equal(void **state)
{
	char path[] = "/tmp/sluice-config-XXXXXX";
	_cleanup_(closep) int fd = mkstemp(path);
	_cleanup_(freep) char *error = NULL;
	struct config c, again;

	(void)state;
	assert_true(fd >= 0);
	load(&c, HEADER "mode: nftables\nnodePortAddresses: [primary]\n"
			"clusterCIDR: 10.244.0.0/16\nconntrack: {min: 5}\n"
			"hostnameOverride: 'yes'\nfeatureGates: {AllAlpha: true}\n");
	assert_int_equal(config_file_write(path, &c, &error), 0);
	config_init(&again);
	assert_int_equal(config_file_read(path, &again, &error), 0);
	for (size_t i = 0; i < config_n_fields; i++) {
		_cleanup_(freep) char *expected = field_text(&c, config_fields[i].path);

		assert_field(&again, config_fields[i].path, expected);
	}
	config_fini(&c);
	config_fini(&again);
	(void)unlink(path);
}

static void a_missing_file_is_reported_with_its_path(void **state)
{
	_cleanup_(freep) char *error = NULL;
	struct config c;

	(void)state;
	config_init(&c);
	assert_int_equal(config_file_read("/nonexistent/config", &c, &error), -ENOENT);
	assert_string_equal(error, "/nonexistent/config: No such file or directory");
	config_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read_and_written_as_in_go),
		cmocka_unit_test(defaults_are_those_of_kube_proxy),
		cmocka_unit_test(fields_are_sorted_by_path),
		cmocka_unit_test(a_file_that_kubeadm_wrote_is_accepted),
		cmocka_unit_test(fields_of_a_file_are_read),
		cmocka_unit_test(many_unknown_or_repeated_fields_cost_few_lines),
		cmocka_unit_test(unreadable_files_are_refused_with_one_line),
		cmocka_unit_test(invalid_values_are_refused_with_field_and_reason),
		cmocka_unit_test(zero_from_a_flag_is_kept),
		cmocka_unit_test(only_the_section_of_the_mode_counts),
		cmocka_unit_test(a_written_configuration_reads_back_equal),
		cmocka_unit_test(a_missing_file_is_reported_with_its_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
