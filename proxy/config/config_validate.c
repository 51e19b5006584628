/*
 * kube-proxy's validation.  Every rule looks at one field or a few that belong
 * together and adds a line "path: reason" when it isn't content.
 */
#include "proxy/config/config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "core/environment.h"
#include "core/mem.h"
#include "watchers/plan/plan.h"

__attribute__((format(printf, 3, 4))) static void
complain(struct buf *errors, const char *path, const char *fmt, ...)
{
	va_list ap;

	buf_printf(errors, "%s: ", path);
	va_start(ap, fmt);
	buf_vprintf(errors, fmt, ap);
	va_end(ap);
	buf_add_char(errors, '\n');
}

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

/* Auto, which kube-proxy's other modes mean, too, or a mode of this build. */
static void check_mode(const struct config *c, struct buf *errors)
{
	static const char *const autos[] = {"", "auto", "iptables", "ipvs"};
	_cleanup_(buf_fini) struct buf known = BUF_INIT;

	if (!c->modes || is_one_of(c->mode, autos, N_ELEMENTS(autos)))
		return;
	for (size_t i = 0; c->modes[i]; i++) {
		if (strcmp(c->mode, c->modes[i]) == 0)
			return;
		buf_printf(&known, ", %s", c->modes[i]);
	}
	complain(errors, "mode",
		 "\"%s\" is not supported by this build; use auto%s (iptables and ipvs "
		 "mean auto)",
		 c->mode, buf_string(&known));
}

static void check_words(const struct config *c, struct buf *errors)
{
	static const char *const detectors[] = {"ClusterCIDR", "NodeCIDR",
						"BridgeInterface", "InterfaceNamePrefix"};
	static const char *const formats[] = {"text", "json"};

	check_mode(c, errors);
	if (!is_one_of(c->detect_local_mode, detectors, N_ELEMENTS(detectors)))
		complain(errors, "detectLocalMode",
			 "\"%s\" is not one of ClusterCIDR, NodeCIDR, BridgeInterface, "
			 "InterfaceNamePrefix",
			 c->detect_local_mode);
	if (!is_one_of(c->logging.format, formats, N_ELEMENTS(formats)))
		complain(errors, "logging.format", "\"%s\" is not text or json",
			 c->logging.format);
}

static void check_range(const char *path, int32_t value, int32_t min, int32_t max,
			struct buf *errors)
{
	if (value < min || value > max)
		complain(errors, path, "%" PRId32 " is not in %" PRId32 "..%" PRId32,
			 value, min, max);
}

static void check_numbers(const struct config *c, struct buf *errors)
{
	check_range("iptables.masqueradeBit", c->iptables.masquerade_bit, 0, 31, errors);
	if (config_rules(c) == &c->nftables)
		check_range("nftables.masqueradeBit", c->nftables.masquerade_bit, 0, 31,
			    errors);
	check_range("oomScoreAdj", c->oom_score_adj, -1000, 1000, errors);
	check_range("userspace-workers", c->userspace.workers, 0, 256, errors);
	check_range("conntrack.maxPerCore", c->conntrack.max_per_core, 0, INT32_MAX,
		    errors);
	check_range("conntrack.min", c->conntrack.min, 0, INT32_MAX, errors);
	check_range("clientConnection.burst", c->burst, 0, INT32_MAX, errors);
	check_range("logging.verbosity", c->logging.verbosity, 0, INT32_MAX, errors);
	check_range("healthz-port", c->healthz_port, 0, UINT16_MAX, errors);
	check_range("metrics-port", c->metrics_port, 0, UINT16_MAX, errors);
}

struct duration_rule {
	const char *path;
	int64_t ns;
};

static void check_periods(const char *section, int64_t sync_ns, int64_t min_ns,
			  struct buf *errors)
{
	_cleanup_(freep) char *sync = xasprintf("%s.syncPeriod", section);
	_cleanup_(freep) char *min = xasprintf("%s.minSyncPeriod", section);

	if (sync_ns <= 0)
		complain(errors, sync, "must be greater than 0");
	if (min_ns < 0)
		complain(errors, min, "must not be negative");
	if (min_ns > sync_ns)
		complain(errors, min, "is longer than syncPeriod");
}

static void check_not_negative(const struct duration_rule *rules, size_t n,
			       struct buf *errors)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].ns < 0)
			complain(errors, rules[i].path, "must not be negative");
}

static void check_durations(const struct config *c, struct buf *errors)
{
	const struct config_rules *rules = config_rules(c);
	const struct duration_rule not_negative[] = {
		{"conntrack.tcpCloseWaitTimeout", c->conntrack.tcp_close_wait_ns},
		{"conntrack.tcpEstablishedTimeout", c->conntrack.tcp_established_ns},
		{"conntrack.udpTimeout", c->conntrack.udp_ns},
		{"conntrack.udpStreamTimeout", c->conntrack.udp_stream_ns},
		{"gather-period", c->gather_period_ns},
		{"audit-period", c->audit_period_ns},
		{"timeout", c->timeout_ns},
	};

	check_not_negative(not_negative, N_ELEMENTS(not_negative), errors);
	if (c->config_sync_period_ns <= 0)
		complain(errors, "configSyncPeriod", "must be greater than 0");
	check_periods(rules == &c->iptables ? "iptables" : "nftables",
		      rules->sync_period_ns, rules->min_sync_period_ns, errors);
}

static void check_address_port(const char *path, const char *text, struct buf *errors)
{
	struct addr addr;
	uint16_t port;

	if (*text && addr_port_parse(text, &addr, &port) != 0)
		complain(errors, path, "\"%s\" is not an address with a port", text);
}

static void check_cluster_cidr(const struct config *c, struct buf *errors)
{
	_cleanup_(freep) char *copy = xstrdup(c->cluster_cidr);
	unsigned n[FAMILY_N] = {0};
	char *rest = copy, *item;
	struct cidr cidr;

	if (!*copy)
		return;
	while ((item = strsep(&rest, ","))) {
		if (cidr_parse(item, &cidr) != 0) {
			complain(errors, "clusterCIDR", "\"%s\" is not a CIDR", item);
			return;
		}
		n[cidr_family(&cidr)]++;
	}
	if (n[FAMILY_IPV4] > 1 || n[FAMILY_IPV6] > 1)
		complain(errors, "clusterCIDR",
			 "\"%s\" has more than one CIDR of a family", c->cluster_cidr);
}

static void check_listen(const struct strings *listen, struct buf *errors)
{
	bool has[FAMILY_N] = {false};

	for (size_t i = 0; i < listen->n; i++) {
		struct addr addr;

		if (addr_parse(listen->items[i], &addr) != 0) {
			complain(errors, "userspace-listen", "\"%s\" is not an address",
				 listen->items[i]);
			continue;
		}
		if (has[addr_family(&addr)])
			complain(errors, "userspace-listen",
				 "has several addresses of one family");
		has[addr_family(&addr)] = true;
	}
}

static void check_addresses(const struct config *c, struct buf *errors)
{
	struct nodeport_addresses nodeports = {0};
	_cleanup_(freep) char *error = NULL;
	struct addr addr;

	if (addr_parse(c->bind_address, &addr) != 0)
		complain(errors, "bindAddress", "\"%s\" is not an address",
			 c->bind_address);
	check_address_port("healthzBindAddress", c->healthz_bind_address, errors);
	check_address_port("metricsBindAddress", c->metrics_bind_address, errors);
	check_listen(&c->userspace.listen, errors);
	if (nodeport_addresses_parse((const char *const *)c->nodeport_addresses.items,
				     c->nodeport_addresses.n, &nodeports, &error) != 0)
		complain(errors, "nodePortAddresses", "%s", error ? error : "not usable");
	nodeport_addresses_fini(&nodeports);
}

static void check_interface(const char *path, const char *name, struct buf *errors)
{
	if (!*name)
		complain(errors, path, "must be set for this detectLocalMode");
	else if (strlen(name) >= ENVIRONMENT_IFNAME_LEN || strpbrk(name, "/ \t\n"))
		complain(errors, path, "\"%s\" is not an interface name", name);
}

static void check_detect_local(const struct config *c, struct buf *errors)
{
	if (strcmp(c->detect_local_mode, "ClusterCIDR") == 0)
		check_cluster_cidr(c, errors);
	if (strcmp(c->detect_local_mode, "BridgeInterface") == 0)
		check_interface("detectLocal.bridgeInterface", c->bridge_interface,
				errors);
	if (strcmp(c->detect_local_mode, "InterfaceNamePrefix") == 0)
		check_interface("detectLocal.interfaceNamePrefix",
				c->interface_name_prefix, errors);
}

/* Only where it is asked for: kubeadm's file has the section, whatever the mode. */
static void check_ipvs(const struct config *c, struct buf *errors)
{
	const struct config_ipvs *ipvs = &c->ipvs;
	const struct duration_rule not_negative[] = {
		{"ipvs.tcpTimeout", ipvs->tcp_timeout_ns},
		{"ipvs.tcpFinTimeout", ipvs->tcp_fin_timeout_ns},
		{"ipvs.udpTimeout", ipvs->udp_timeout_ns},
	};
	struct cidr cidr;

	if (strcmp(c->mode, "ipvs") != 0)
		return;
	check_periods("ipvs", ipvs->sync_period_ns, ipvs->min_sync_period_ns, errors);
	check_not_negative(not_negative, N_ELEMENTS(not_negative), errors);
	for (size_t i = 0; i < ipvs->exclude_cidrs.n; i++)
		if (cidr_parse(ipvs->exclude_cidrs.items[i], &cidr) != 0)
			complain(errors, "ipvs.excludeCIDRs", "\"%s\" is not a CIDR",
				 ipvs->exclude_cidrs.items[i]);
}

bool config_validate(const struct config *c, struct buf *errors)
{
	size_t before = errors->len;

	check_words(c, errors);
	check_numbers(c, errors);
	check_durations(c, errors);
	check_addresses(c, errors);
	check_detect_local(c, errors);
	check_ipvs(c, errors);
	return errors->len == before;
}
