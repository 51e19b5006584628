/*
 * Everything is computed from its inputs each time and compared with the previous
 * values, so no event can be missed.
 */
#include "proxy/host/node_info.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/state.h"
#include "proxy/config/config.h"
#include "watchers/cluster.h"

/* The parts of plan_options and Node whose change requires planning. */
struct fingerprint {
	struct addr node_ip[FAMILY_N];
	bool has_detector[FAMILY_N];
};

/*
 * Without a list, kube-proxy's iptables and ipvs modes answer node ports on
 * all addresses, nftables on the primary one.  With the name of an old mode the
 * addresses are those of that mode.
 */
static void init_nodeports(struct node_info *f)
{
	static const char *const all[] = {"all"};
	const struct config *c = f->config;
	bool is_old = strcmp(c->mode, "iptables") == 0 || strcmp(c->mode, "ipvs") == 0;
	_cleanup_(freep) char *error = NULL;

	if (c->nodeport_addresses.n == 0 && is_old)
		(void)nodeport_addresses_parse(all, 1, &f->nodeports, &error);
	else
		(void)nodeport_addresses_parse(
			(const char *const *)c->nodeport_addresses.items,
			c->nodeport_addresses.n, &f->nodeports, &error);
}

void node_info_set_loopback(struct node_info *f, bool is_served)
{
	const struct nodeport_addresses *np = &f->nodeports;
	bool is_wanted = np->localhost;

	for (size_t i = 0; i < np->n_cidrs && !is_wanted; i++)
		is_wanted = addr_is_loopback(&np->cidrs[i].addr);
	f->options.loopback_nodeports = is_served;
	if (is_wanted && !is_served)
		log_warn("nodeport-addresses: nftables cannot serve node ports on "
			 "loopback addresses; they are left out");
}

static enum pod_detector detector_of(const char *mode)
{
	static const struct {
		const char *mode;
		enum pod_detector detector;
	} modes[] = {
		{"ClusterCIDR", POD_DETECTOR_CIDR},
		{"NodeCIDR", POD_DETECTOR_CIDR},
		{"BridgeInterface", POD_DETECTOR_BRIDGE},
		{"InterfaceNamePrefix", POD_DETECTOR_PREFIX},
	};

	for (size_t i = 0; i < N_ELEMENTS(modes); i++)
		if (strcmp(mode, modes[i].mode) == 0)
			return modes[i].detector;
	return POD_DETECTOR_NONE;
}

void node_info_init(struct node_info *f, const struct config *config,
		    const char *node_name)
{
	const struct config_rules *rules = config_rules(config);

	memset(f, 0, sizeof(*f)); /* env is compared with memcmp() */
	f->config = config;
	init_nodeports(f);
	f->options = (struct plan_options){
		.node_name = node_name,
		.detector = detector_of(config->detect_local_mode),
		.masquerade_all = rules->masquerade_all,
		.use_node_hints = config_gate(config, GATE_SAME_TRAFFIC, true),
		.allow_external_ips = config_gate(config, GATE_EXTERNAL_IPS, true),
		.nodeports = &f->nodeports,
	};
	f->env.masquerade_all = rules->masquerade_all;
	f->env.masquerade_mark = UINT32_C(1) << rules->masquerade_bit;
	for (enum family family = 0; family < FAMILY_N; family++)
		f->env.enabled[family] = true;
}

void node_info_fini(struct node_info *f)
{
	nodeport_addresses_fini(&f->nodeports);
	free(f->hosts);
	free(f->own);
	f->hosts = f->own = NULL;
	for (enum family family = 0; family < FAMILY_N; family++) {
		free(f->nodeport_list[family]);
		f->nodeport_list[family] = NULL;
	}
}

/* ipv6.disable=1 leaves no socket family; a kernel without it neither. */
void node_info_ask_host(struct node_info *f)
{
	for (enum family family = 0; family < FAMILY_N; family++) {
		_cleanup_(closep) int fd =
			socket(family_af(family), SOCK_DGRAM | SOCK_CLOEXEC, 0);

		f->env.enabled[family] = fd >= 0;
	}
}

static bool is_cluster_ip(const struct environment *env, const struct addr *a)
{
	for (uint32_t i = 0; i < env->n_service_cidrs; i++)
		if (cidr_contains(&env->service_cidrs[i], a))
			return true;
	return false;
}

/*
 * Cluster IPs on an interface, which another program put there, are not the node's.
 * External and load balancer addresses may be both: a virtual address that moves
 * between nodes, or a node's own in externalIPs, which must not end its node ports.
 */
static void select_own(struct node_info *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_hosts; i++)
		if (!is_cluster_ip(&f->env, &f->hosts[i]))
			f->own[n++] = f->hosts[i];
	f->options.host_addresses = f->own;
	f->options.n_host_addresses = n;
}

void node_info_set_hosts(struct node_info *f, const struct addr *hosts, size_t n)
{
	free(f->hosts);
	free(f->own);
	f->hosts = xcalloc(n + 1, sizeof(*hosts));
	f->own = xcalloc(n + 1, sizeof(*hosts));
	if (n)
		memcpy(f->hosts, hosts, n * sizeof(*hosts));
	f->n_hosts = n;
	select_own(f);
}

static void set_pod_cidr(struct environment *env, const struct cidr *cidr)
{
	enum family family = cidr_family(cidr);

	if (env->has_pod_cidr[family])
		return;
	env->has_pod_cidr[family] = true;
	env->pod_cidr[family] = *cidr;
}

static void set_cluster_cidr(struct environment *env, const char *text)
{
	_cleanup_(freep) char *copy = xstrdup(text);
	char *rest = copy, *item;
	struct cidr cidr;

	while ((item = strsep(&rest, ",")))
		if (cidr_parse(item, &cidr) == 0)
			set_pod_cidr(env, &cidr);
}

static void set_interface(struct environment *env, const char *name)
{
	memset(env->ifname, 0, sizeof(env->ifname));
	memcpy(env->ifname, name, strnlen(name, sizeof(env->ifname) - 1));
}

static void update_detector(struct node_info *f, const struct object_node *node)
{
	const struct config *c = f->config;
	struct environment *env = &f->env;

	env->detector = f->options.detector;
	memset(env->has_pod_cidr, 0, sizeof(env->has_pod_cidr));
	memset(env->pod_cidr, 0, sizeof(env->pod_cidr));
	if (strcmp(c->detect_local_mode, "ClusterCIDR") == 0)
		set_cluster_cidr(env, c->cluster_cidr);
	if (strcmp(c->detect_local_mode, "NodeCIDR") == 0)
		for (uint32_t i = 0; node && i < node->n_pod_cidrs; i++)
			set_pod_cidr(env, &node->pod_cidrs[i]);
	if (env->detector == POD_DETECTOR_BRIDGE)
		set_interface(env, c->bridge_interface);
	if (env->detector == POD_DETECTOR_PREFIX)
		set_interface(env, c->interface_name_prefix);
	for (enum family family = 0; family < FAMILY_N; family++)
		f->options.has_detector[family] = environment_has_detector(env, family);
}

/* --bind-address, else the Node's first address of the family, else none. */
static void update_node_ip(struct node_info *f, const struct object_node *node)
{
	struct addr bind;

	for (enum family family = 0; family < FAMILY_N; family++) {
		struct addr *ip = &f->options.node_ip[family];

		*ip = addr_unspecified(family);
		for (uint32_t i = node ? node->n_addresses : 0; i-- > 0;)
			if (addr_family(&node->addresses[i]) == family)
				*ip = node->addresses[i];
	}
	if (addr_parse(f->config->bind_address, &bind) == 0 &&
	    !addr_is_unspecified(&bind))
		f->options.node_ip[addr_family(&bind)] = bind;
}

/* The pods' or this node's network or address that a service network overlaps, or NULL. */
static const char *overlap_of(const struct node_info *f, const struct object_node *node,
			      const struct cidr *service_cidr,
			      char buf[static CIDR_TEXT_LEN])
{
	_cleanup_(freep) char *copy = xstrdup(f->config->cluster_cidr);
	char *rest = copy, *item;
	struct cidr cidr;

	while ((item = strsep(&rest, ",")))
		if (cidr_parse(item, &cidr) == 0 && cidr_overlaps(&cidr, service_cidr))
			return cidr_format(&cidr, buf);
	for (uint32_t i = 0; node && i < node->n_pod_cidrs; i++)
		if (cidr_overlaps(&node->pod_cidrs[i], service_cidr))
			return cidr_format(&node->pod_cidrs[i], buf);
	for (enum family family = 0; family < FAMILY_N; family++)
		if (!addr_is_unspecified(&f->options.node_ip[family]) &&
		    cidr_contains(service_cidr, &f->options.node_ip[family]))
			return addr_format(&f->options.node_ip[family], buf);
	return NULL;
}

#define OVERLAP_FORMAT                                                                   \
	"ServiceCIDR %s overlaps %s, a network or address of pods or of this node: "     \
	"packets to its unused addresses are not dropped, and a Service may have the "   \
	"address of a pod or host; the networks must be separate"

/* Packets to unknown addresses of a service network are dropped, so it must not hold others. */
static void update_service_cidrs(struct node_info *f, const struct cluster *cluster)
{
	struct environment *env = &f->env;
	struct cidr all[ENVIRONMENT_MAX_SERVICE_CIDRS];
	size_t n = cluster_service_cidrs(cluster, all, N_ELEMENTS(all)), n_overlaps = 0;

	memset(env->service_cidrs, 0, sizeof(env->service_cidrs));
	env->n_service_cidrs = 0;
	for (size_t i = 0; i < n; i++) {
		char text[CIDR_TEXT_LEN], other[CIDR_TEXT_LEN];
		const char *overlap =
			overlap_of(f, cluster_node(cluster), &all[i], other);

		if (!overlap)
			env->service_cidrs[env->n_service_cidrs++] = all[i];
		else if (++n_overlaps > f->n_overlaps)
			log_warn(OVERLAP_FORMAT, cidr_format(&all[i], text), overlap);
	}
	f->n_overlaps = n_overlaps;
}

void node_info_each_overlap(const struct node_info *f, const struct cluster *cluster,
			    void (*fn)(void *data, const char *finding), void *data)
{
	struct cidr all[ENVIRONMENT_MAX_SERVICE_CIDRS];
	size_t n = cluster_service_cidrs(cluster, all, N_ELEMENTS(all));

	for (size_t i = 0; i < n; i++) {
		char text[CIDR_TEXT_LEN], other[CIDR_TEXT_LEN];
		const char *overlap =
			overlap_of(f, cluster_node(cluster), &all[i], other);
		_cleanup_(freep) char *finding = NULL;

		if (!overlap)
			continue;
		finding = xasprintf(OVERLAP_FORMAT, cidr_format(&all[i], text), overlap);
		fn(data, finding);
	}
}

/*
 * Frontends have a single address; of several, only the state and the sinks know which.
 * From one to the other everything changes, the rules, too.
 */
static unsigned update_nodeport_list(struct node_info *f, const struct object_node *node,
				     enum family family)
{
	size_t n, n_before = f->n_nodeport_list[family];
	struct addr *list = plan_nodeport_addresses(&f->options, node, family, &n);
	bool is_same = n == n_before && (n == 0 || memcmp(list, f->nodeport_list[family],
							  n * sizeof(*list)) == 0);

	if (is_same) {
		free(list);
		return 0;
	}
	free(f->nodeport_list[family]);
	f->nodeport_list[family] = list;
	f->n_nodeport_list[family] = n;
	f->env.node_addresses[family] = n > 1 ? list : NULL;
	f->env.n_node_addresses[family] = n > 1 ? n : 0;
	if (n > 1 && n_before > 1)
		return NODE_INFO_ADDRESSES;
	return NODE_INFO_PLAN | (n > 1 || n_before > 1 ? NODE_INFO_ENVIRONMENT : 0);
}

void node_info_set_state(const struct node_info *f, struct state *state)
{
	for (enum family family = 0; family < FAMILY_N; family++)
		state_set_node_addresses(state, family, f->env.node_addresses[family],
					 f->env.n_node_addresses[family]);
}

/* Without the lists of addresses, whose changes are found by themselves. */
static struct environment comparable(const struct environment *env)
{
	struct environment e;

	memcpy(&e, env, sizeof(e)); /* padding and all */
	memset(e.node_addresses, 0, sizeof(e.node_addresses));
	memset(e.n_node_addresses, 0, sizeof(e.n_node_addresses));
	return e;
}

static struct fingerprint fingerprint_of(const struct node_info *f)
{
	struct fingerprint print;

	memset(&print, 0, sizeof(print));
	memcpy(print.node_ip, f->options.node_ip, sizeof(print.node_ip));
	memcpy(print.has_detector, f->options.has_detector, sizeof(print.has_detector));
	return print;
}

unsigned node_info_update(struct node_info *f, struct cluster *cluster)
{
	const struct object_node *node = cluster_node(cluster);
	struct fingerprint before = fingerprint_of(f), after;
	struct environment env_before = comparable(&f->env), env_after;
	unsigned changed = 0;

	/* the zone counts for planning, whatever else the Node says */
	if (cluster_take_node_change(cluster))
		changed |= NODE_INFO_PLAN;
	(void)cluster_take_service_cidr_change(cluster); /* compared below */
	update_detector(f, node);
	update_node_ip(f, node);
	update_service_cidrs(f, cluster);
	select_own(f);
	for (enum family family = 0; family < FAMILY_N; family++)
		changed |= update_nodeport_list(f, node, family);
	after = fingerprint_of(f);
	if (memcmp(&before, &after, sizeof(before)) != 0)
		changed |= NODE_INFO_PLAN;
	env_after = comparable(&f->env);
	if (memcmp(&env_before, &env_after, sizeof(env_after)) != 0)
		changed |= NODE_INFO_ENVIRONMENT;
	return changed;
}
