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
#include "tests/unit/config_text.h"

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

static void defaults_are_those_of_kube_proxy(void **state)
{
	struct buf errors = BUF_INIT;
	struct config c;

	(void)state;
	config_init(&c);
	for (size_t i = 0; i < N_ELEMENTS(default_cases); i++)
		config_text_expect(&c, default_cases[i].path, default_cases[i].value);
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
	CONFIG_HEADER "bindAddress: 0.0.0.0\n"
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

static void a_file_that_kubeadm_wrote_is_accepted(void **state)
{
	struct buf errors = BUF_INIT;
	struct config c;

	(void)state;
	config_text_load(&c, kubeadm_config);
	assert_true(config_validate(&c, &errors));
	config_text_expect(&c, "clientConnection.kubeconfig",
			   "/var/lib/kube-proxy/kubeconfig.conf");
	config_text_expect(&c, "clusterCIDR", "10.244.0.0/16");
	config_text_expect(&c, "configSyncPeriod", "15m0s");
	config_text_expect(&c, "conntrack.maxPerCore", "32768");
	config_text_expect(&c, "detectLocalMode", "ClusterCIDR");
	config_text_expect(&c, "iptables.syncPeriod", "30s");
	config_text_expect(&c, "oomScoreAdj", "-999");
	config_text_expect(&c, "healthzBindAddress", "0.0.0.0:10256");
	config_text_expect(&c, "metricsBindAddress", "127.0.0.1:10249");
	config_fini(&c);
	buf_fini(&errors);
}

static const struct {
	const char *text, *path, *value;
} read_cases[] = {
	{CONFIG_HEADER "mode: nftables\n", "mode", "nftables"},
	{CONFIG_HEADER "nodePortAddresses: [primary, 10.0.0.0/8]\n", "nodePortAddresses",
	 "primary,10.0.0.0/8"},
	{CONFIG_HEADER "featureGates: {WatchListClient: false}\n", "featureGates",
	 "WatchListClient=false"},
	{CONFIG_HEADER "healthzBindAddress: 1.2.3.4\n", "healthzBindAddress",
	 "1.2.3.4:10256"},
	{CONFIG_HEADER "bindAddress: '::'\n", "healthzBindAddress", "[::]:10256"},
	{CONFIG_HEADER "bindAddress: '::'\n", "metricsBindAddress", "[::1]:10249"},
	{CONFIG_HEADER "bindAddress: fd00::1\nmetricsBindAddress: 0.0.0.0:1\n",
	 "metricsBindAddress", "0.0.0.0:1"},
	{CONFIG_HEADER "bindAddress: '::'\nhealthzBindAddress: 0.0.0.0:10256\n",
	 "healthzBindAddress", "0.0.0.0:10256"},
	{CONFIG_HEADER "bindAddress: ''\n", "bindAddress", "0.0.0.0"},
	{CONFIG_HEADER "mode: nftables\n", "nodePortAddresses", "primary"},
	{CONFIG_HEADER "mode: nftables\nnodePortAddresses: [all]\n", "nodePortAddresses",
	 "all"},
	{CONFIG_HEADER "mode: iptables\n", "nodePortAddresses", ""},
	{CONFIG_HEADER "logging: {flushFrequency: 7000000000}\n",
	 "logging.flushFrequency", "7s"},
	{CONFIG_HEADER "clientConnection: {qps: 7.5, burst: 3}\n", "clientConnection.qps",
	 "7.5"},
	{CONFIG_HEADER "unheardOf: 3\nmode: nftables\n", "mode", "nftables"},
	{CONFIG_HEADER "iptables: {unheardOf: {a: b}, syncPeriod: 9s}\n",
	 "iptables.syncPeriod", "9s"},
	{CONFIG_HEADER "mode: iptables\nmode: nftables\n", "mode", "nftables"},
	{"{\"apiVersion\":\"kubeproxy.config.k8s.io/v1alpha1\","
	 "\"kind\":\"KubeProxyConfiguration\",\"mode\":\"ebpf\"}",
	 "mode", "ebpf"},
};

static void fields_of_a_file_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(read_cases); i++) {
		struct config c;

		config_text_load(&c, read_cases[i].text);
		config_text_expect(&c, read_cases[i].path, read_cases[i].value);
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
	buf_add_string(&text, CONFIG_HEADER);
	for (unsigned i = 0; i < 30000; i++)
		buf_printf(&text, "unheardOf%u: 1\n", i);
	for (unsigned i = 0; i < 3000; i++)
		buf_add_string(&text, "mode: nftables\n");
	capture_start();
	config_text_load(&c, buf_string(&text));
	log = capture_end();
	config_text_expect(&c, "mode", "nftables");
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
	{CONFIG_HEADER "mode: 'unclosed\n",
	 "test: line 4: found unexpected end of stream, while scanning a quoted scalar"},
	{CONFIG_HEADER "mode: [a]\n", "test: mode: not a string"},
	{CONFIG_HEADER "iptables: 3\n", "test: iptables: not an object"},
	{CONFIG_HEADER "iptables: {masqueradeBit: many}\n",
	 "test: iptables.masqueradeBit: not a number in range"},
	{CONFIG_HEADER "iptables: {masqueradeAll: 1}\n",
	 "test: iptables.masqueradeAll: not a boolean"},
	{CONFIG_HEADER "iptables: {syncPeriod: soon}\n",
	 "test: iptables.syncPeriod: not a duration like 30s"},
	{CONFIG_HEADER "configSyncPeriod: 5\n",
	 "test: configSyncPeriod: not a duration like 30s"},
	{CONFIG_HEADER "conntrack: {udpTimeout: 30}\n",
	 "test: conntrack.udpTimeout: not a duration like 30s"},
	{CONFIG_HEADER "nodePortAddresses: primary\n",
	 "test: nodePortAddresses: not a list"},
	{CONFIG_HEADER "nodePortAddresses: [1]\n",
	 "test: nodePortAddresses: an item is not a string"},
	{CONFIG_HEADER "featureGates: [A]\n",
	 "test: featureGates: not an object of booleans"},
	{CONFIG_HEADER "featureGates: {A: 1}\n",
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

static void a_written_configuration_reads_back_equal(void **state)
{
	char path[] = "/tmp/sluice-config-XXXXXX";
	_cleanup_(closep) int fd = mkstemp(path);
	_cleanup_(freep) char *error = NULL;
	struct config c, again;

	(void)state;
	assert_true(fd >= 0);
	config_text_load(&c, CONFIG_HEADER
			 "mode: nftables\nnodePortAddresses: [primary]\n"
			 "clusterCIDR: 10.244.0.0/16\nconntrack: {min: 5}\n"
			 "hostnameOverride: 'yes'\nfeatureGates: {AllAlpha: true}\n");
	assert_int_equal(config_file_write(path, &c, &error), 0);
	config_init(&again);
	assert_int_equal(config_file_read(path, &again, &error), 0);
	for (size_t i = 0; i < config_n_fields; i++) {
		_cleanup_(freep) char *expected =
			config_text_field(&c, config_fields[i].path);

		config_text_expect(&again, config_fields[i].path, expected);
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
		cmocka_unit_test(a_written_configuration_reads_back_equal),
		cmocka_unit_test(a_missing_file_is_reported_with_its_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
