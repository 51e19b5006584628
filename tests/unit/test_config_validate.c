/*
 * KubeProxyConfiguration: the checks of values.
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
#include "tests/unit/config_text.h"

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
			xasprintf("%s%s", CONFIG_HEADER, validate_cases[i].text);
		struct buf errors = BUF_INIT;
		struct config c;
		bool is_valid;

		config_text_load(&c, text);
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
	config_text_expect(&c, "conntrack.tcpEstablishedTimeout", "0s");
	config_text_expect(&c, "metricsBindAddress", "");
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
			xasprintf("%smode: '%s'\n", CONFIG_HEADER, cases[i].mode);
		struct config c;

		config_text_load(&c, text);
		assert_ptr_equal(config_rules(&c),
				 cases[i].is_iptables ? &c.iptables : &c.nftables);
		config_fini(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invalid_values_are_refused_with_field_and_reason),
		cmocka_unit_test(zero_from_a_flag_is_kept),
		cmocka_unit_test(only_the_section_of_the_mode_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
