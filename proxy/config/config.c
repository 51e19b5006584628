/*
 * The table of fields is the file format: defaults, reading, writing and
 * freeing all walk it.  config_init() and config_fini() handle the other members
 * one by one.
 */
#include "proxy/config/config.h"

#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

#define HEALTHZ_PORT 10256
#define METRICS_PORT 10249

#define FIELD(p, k, member, dflt)                                                        \
	.path = (p), .kind = VALUE_##k, .offset = offsetof(struct config, member),       \
	.default_text = (dflt)
#define F(path, kind, member, dflt)                                                      \
	{                                                                                \
		FIELD(path, kind, member, dflt)                                          \
	}
#define F_OPTIONAL(path, kind, member, dflt)                                             \
	{                                                                                \
		FIELD(path, kind, member, dflt), .omit_empty = true                      \
	}
#define F_NONZERO(path, kind, member, dflt)                                              \
	{                                                                                \
		FIELD(path, kind, member, dflt), .zero_is_absent = true                  \
	}

/* Sorted by path: that is also the order of a written file. */
const struct config_field config_fields[] = {
	F("bindAddress", STRING, bind_address, "0.0.0.0"),
	F("bindAddressHardFail", BOOL, bind_address_hard_fail, "false"),
	F("clientConnection.acceptContentTypes", STRING, accept_content_types, ""),
	F_NONZERO("clientConnection.burst", INT, burst, "10"),
	F("clientConnection.contentType", STRING, content_type,
	  "application/vnd.kubernetes.protobuf"),
	F("clientConnection.kubeconfig", STRING, kubeconfig, ""),
	F_NONZERO("clientConnection.qps", FLOAT, qps, "5"),
	F("clusterCIDR", STRING, cluster_cidr, ""),
	F_NONZERO("configSyncPeriod", DURATION, config_sync_period_ns, "15m"),
	F("conntrack.maxPerCore", INT, conntrack.max_per_core, "32768"),
	F("conntrack.min", INT, conntrack.min, "131072"),
	F("conntrack.tcpBeLiberal", BOOL, conntrack.tcp_be_liberal, "false"),
	F("conntrack.tcpCloseWaitTimeout", DURATION, conntrack.tcp_close_wait_ns, "1h"),
	F("conntrack.tcpEstablishedTimeout", DURATION, conntrack.tcp_established_ns,
	  "24h"),
	F("conntrack.udpStreamTimeout", DURATION, conntrack.udp_stream_ns, "0"),
	F("conntrack.udpTimeout", DURATION, conntrack.udp_ns, "0"),
	F("detectLocal.bridgeInterface", STRING, bridge_interface, ""),
	F("detectLocal.interfaceNamePrefix", STRING, interface_name_prefix, ""),
	F("detectLocalMode", STRING, detect_local_mode, "ClusterCIDR"),
	F("enableProfiling", BOOL, enable_profiling, "false"),
	F_OPTIONAL("featureGates", GATES, feature_gates, ""),
	F("healthzBindAddress", STRING, healthz_bind_address, "0.0.0.0:10256"),
	F("hostnameOverride", STRING, hostname_override, ""),
	F("iptables.localhostNodePorts", BOOL, iptables.localhost_nodeports, "true"),
	F("iptables.masqueradeAll", BOOL, iptables.masquerade_all, "false"),
	F("iptables.masqueradeBit", INT, iptables.masquerade_bit, "14"),
	F("iptables.minSyncPeriod", DURATION, iptables.min_sync_period_ns, "0"),
	F_NONZERO("iptables.syncPeriod", DURATION, iptables.sync_period_ns, "30s"),
	F("ipvs.excludeCIDRs", STRINGS, ipvs.exclude_cidrs, ""),
	F("ipvs.minSyncPeriod", DURATION, ipvs.min_sync_period_ns, "0"),
	F("ipvs.scheduler", STRING, ipvs.scheduler, ""),
	F("ipvs.strictARP", BOOL, ipvs.strict_arp, "false"),
	F_NONZERO("ipvs.syncPeriod", DURATION, ipvs.sync_period_ns, "30s"),
	F("ipvs.tcpFinTimeout", DURATION, ipvs.tcp_fin_timeout_ns, "0"),
	F("ipvs.tcpTimeout", DURATION, ipvs.tcp_timeout_ns, "0"),
	F("ipvs.udpTimeout", DURATION, ipvs.udp_timeout_ns, "0"),
	F_NONZERO("logging.flushFrequency", DURATION, logging.flush_frequency_ns, "5s"),
	F("logging.format", STRING, logging.format, "text"),
	F("logging.options.json.infoBufferSize", STRING, logging.json_buffer, "0"),
	F_OPTIONAL("logging.options.json.splitStream", BOOL, logging.json_split, "false"),
	F("logging.options.text.infoBufferSize", STRING, logging.text_buffer, "0"),
	F_OPTIONAL("logging.options.text.splitStream", BOOL, logging.text_split, "false"),
	F("logging.verbosity", INT, logging.verbosity, "0"),
	F("metricsBindAddress", STRING, metrics_bind_address, "127.0.0.1:10249"),
	F("mode", STRING, mode, ""),
	F("nftables.masqueradeAll", BOOL, nftables.masquerade_all, "false"),
	F("nftables.masqueradeBit", INT, nftables.masquerade_bit, "14"),
	F("nftables.minSyncPeriod", DURATION, nftables.min_sync_period_ns, "0"),
	F_NONZERO("nftables.syncPeriod", DURATION, nftables.sync_period_ns, "30s"),
	F("nodePortAddresses", STRINGS, nodeport_addresses, ""),
	F("oomScoreAdj", INT, oom_score_adj, "-999"),
	F("portRange", STRING, port_range, ""),
	F("showHiddenMetricsForVersion", STRING, show_hidden_metrics, ""),
	F_OPTIONAL("windowsRunAsService", BOOL, windows_run_as_service, "false"),
	F("winkernel.enableDSR", BOOL, winkernel.enable_dsr, "false"),
	F("winkernel.forwardHealthCheckVip", BOOL, winkernel.forward_health_check_vip,
	  "false"),
	F("winkernel.networkName", STRING, winkernel.network_name, ""),
	F("winkernel.rootHnsEndpointName", STRING, winkernel.root_hns_endpoint_name, ""),
	F("winkernel.sourceVip", STRING, winkernel.source_vip, ""),
};

const size_t config_n_fields = N_ELEMENTS(config_fields);

const struct config_field *config_field_find(const char *path)
{
	for (size_t i = 0; i < config_n_fields; i++)
		if (strcmp(config_fields[i].path, path) == 0)
			return &config_fields[i];
	return NULL;
}

void config_init(struct config *c)
{
	*c = (struct config){
		.gather_period_ns = INT64_C(10) * 1000 * 1000,
		.timeout_ns = INT64_C(30) * 1000 * 1000 * 1000,
		.service_metrics = true,
		.audit_period_ns = INT64_C(3600) * 1000 * 1000 * 1000,
		.healthz_port = HEALTHZ_PORT,
		.metrics_port = METRICS_PORT,
		.control_socket = xstrdup("/run/sluice/sluice.sock"),
		.state_dir = xstrdup("/var/lib/sluice"),
		.master = xstrdup(""),
		.ebpf.cgroup_root = xstrdup(""),
		.ebpf.bpffs_root = xstrdup(""),
	};
	for (size_t i = 0; i < config_n_fields; i++)
		(void)value_parse(config_fields[i].kind, config_fields[i].default_text,
				  false, config_slot(c, &config_fields[i]));
}

void config_fini(struct config *c)
{
	for (size_t i = 0; i < config_n_fields; i++)
		value_fini(config_fields[i].kind, config_slot(c, &config_fields[i]));
	strings_fini(&c->manifests);
	free(c->control_socket);
	free(c->state_dir);
	free(c->master);
	free(c->ebpf.cgroup_root);
	free(c->ebpf.bpffs_root);
	strings_fini(&c->ebpf.exclude_cgroups);
	strings_fini(&c->userspace.listen);
	c->control_socket = c->state_dir = c->master = NULL;
	c->ebpf = (struct config_ebpf){0};
}

static void replace_string(char **slot, char *takes)
{
	free(*slot);
	*slot = takes;
}

static void default_if_empty(struct config *c, const char *path)
{
	const struct config_field *f = config_field_find(path);
	char **slot = config_slot(c, f);

	if (!**slot)
		replace_string(slot, xstrdup(f->default_text));
}

/* "1.2.3.4" -> "1.2.3.4:port"; other text is left for the validation. */
static void complete_server(char **slot, int32_t port)
{
	char text[ADDR_PORT_TEXT_LEN];
	struct addr addr;

	if (port == 0)
		replace_string(slot, xstrdup(""));
	else if (addr_parse(*slot, &addr) == 0)
		replace_string(slot,
			       xstrdup(addr_port_format(&addr, (uint16_t)port, text)));
}

void config_complete(struct config *c)
{
	default_if_empty(c, "bindAddress");
	default_if_empty(c, "detectLocalMode");
	complete_server(&c->healthz_bind_address, c->healthz_port);
	complete_server(&c->metrics_bind_address, c->metrics_port);
	if (strcmp(c->mode, "nftables") == 0 && c->nodeport_addresses.n == 0)
		strings_add(&c->nodeport_addresses, "primary");
}

void config_set_up_log(const struct config *c)
{
	log_set_verbosity(c->logging.verbosity);
	log_set_json(strcmp(c->logging.format, "json") == 0);
	log_detect_journal();
}

const struct config_rules *config_rules(const struct config *c)
{
	static const char *const iptables_modes[] = {"", "iptables", "ipvs"};

	for (size_t i = 0; i < N_ELEMENTS(iptables_modes); i++)
		if (strcmp(c->mode, iptables_modes[i]) == 0)
			return &c->iptables;
	return &c->nftables;
}

static bool is_gate(const char *gate, const char *name)
{
	size_t len = strlen(name);

	return strncmp(gate, name, len) == 0 && gate[len] == '=';
}

bool config_gate(const struct config *c, const char *name, bool dflt)
{
	bool on = dflt;

	for (size_t i = 0; i < c->feature_gates.n; i++) {
		const char *gate = c->feature_gates.items[i];

		if (is_gate(gate, name))
			(void)value_parse(VALUE_BOOL, gate + strcspn(gate, "=") + 1,
					  false, &on);
	}
	return on;
}

char *config_unused_gates(const struct config *c)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < c->feature_gates.n; i++) {
		const char *gate = c->feature_gates.items[i];

		if (!is_gate(gate, GATE_EXTERNAL_IPS) &&
		    !is_gate(gate, GATE_SAME_TRAFFIC))
			buf_printf(&text, "%s%.*s", text.len ? ", " : "",
				   (int)strcspn(gate, "="), gate);
	}
	return buf_take(&text);
}
