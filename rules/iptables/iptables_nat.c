/*
 * A cluster IP whose clients all share one pool goes directly to the chain of
 * that pool, which also has the rules for masquerading; every other frontend goes
 * through a KUBE-EXT chain that distinguishes the classes of clients.  A packet
 * that no rule matches is unchanged, and table filter refuses or drops it.
 *
 * Matches that are put into the middle of a rule end in a blank.
 */
#include "rules/iptables/iptables_nat.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/iptables/iptables_names.h"
#include "rules/iptables/iptables_pools.h"

#define MATCH_LEN 80

/* Frontends with the same decisions share their chains. */
struct group {
	uint32_t first; /* frontend */
	bool has_ext, has_fw;
};

/* Everything that the rules of one service need. */
struct work {
	struct iptables_table *nat;
	const struct service *service;
	char is_pod[MATCH_LEN]; /* "" without a detector */
	struct group *groups;
	size_t n_groups, groups_cap;
};

static void format_detector(const struct environment *env, enum family family,
			    char ret[static MATCH_LEN])
{
	char cidr[CIDR_TEXT_LEN];

	ret[0] = '\0';
	if (!environment_has_detector(env, family))
		return;
	if (env->detector == POD_DETECTOR_CIDR)
		(void)snprintf(ret, MATCH_LEN, "-s %s ",
			       cidr_format(&env->pod_cidr[family], cidr));
	else
		(void)snprintf(ret, MATCH_LEN, "-i %s%s ", env->ifname,
			       env->detector == POD_DETECTOR_PREFIX ? "+" : "");
}

static bool is_alike(const struct frontend *a, const struct frontend *b)
{
	for (unsigned client = 0; client < CLIENT_N; client++) {
		const struct decision *x = &a->from[client], *y = &b->from[client];

		if (x->action != y->action || x->pool != y->pool ||
		    x->masquerade != y->masquerade)
			return false;
	}
	return true;
}

static bool is_balanced(const struct frontend *f)
{
	for (unsigned client = 0; client < CLIENT_N; client++) {
		if (f->from[client].action == ACTION_BALANCE)
			return true;
	}
	return false;
}

/* Do all clients go to the same pool?  Pods may be masqueraded or not. */
static bool has_one_way(const struct frontend *f)
{
	for (unsigned client = 1; client < CLIENT_N; client++) {
		if (f->from[client].action != f->from[0].action ||
		    f->from[client].pool != f->from[0].pool)
			return false;
	}
	return f->from[CLIENT_NODE].masquerade == f->from[CLIENT_EXTERNAL].masquerade;
}

static bool is_direct(const struct frontend *f)
{
	return f->kind == FRONTEND_CLUSTER_IP && !f->is_limited && has_one_way(f);
}

/*
 * The group of a frontend that is not direct: a new one when none before it has
 * the same decisions. There are few groups: as things are, all external
 * frontends of a service have the same decisions.
 */
static struct group *group_of(struct work *w, uint32_t i)
{
	const struct frontend *f = service_frontends(w->service);

	for (size_t g = 0; g < w->n_groups; g++)
		if (is_alike(&f[w->groups[g].first], &f[i]))
			return &w->groups[g];
	w->groups = xgrow(w->groups, w->n_groups, &w->groups_cap, sizeof(*w->groups));
	w->groups[w->n_groups] = (struct group){.first = i};
	return &w->groups[w->n_groups++];
}

/* The chain of the first group has kube-proxy's own name. */
static struct iptables_chain group_chain(const struct work *w, const struct group *g,
					 enum iptables_prefix prefix)
{
	char what[16] = "";

	if (g != w->groups)
		(void)snprintf(what, sizeof(what), "#%u", g->first);
	return iptables_chain_name(prefix, w->service, what);
}

/* One class of client after the other; each rule applies to those that are left. */
static void add_sources(const struct work *w, const char *chain, const struct frontend *f)
{
	const struct {
		enum client_class client;
		const char *match, *what;
	} sources[] = {
		{CLIENT_POD, w->is_pod, "pod traffic"},
		{CLIENT_NODE, "-m addrtype --src-type LOCAL ", "node traffic"},
		{CLIENT_EXTERNAL, "", "external traffic"},
	};
	char comment[IPTABLES_COMMENT_LEN];

	for (size_t i = *w->is_pod ? 0 : 1; i < N_ELEMENTS(sources); i++) {
		const struct decision *decision = &f->from[sources[i].client];
		struct iptables_chain pool =
			iptables_pool_chain(w->service, decision->pool);

		(void)iptables_comment(w->service, sources[i].what, comment);
		if (decision->masquerade)
			iptables_table_add_rule(w->nat, w->service->family, chain,
						"%s %s-j KUBE-MARK-MASQ", comment,
						sources[i].match);
		iptables_table_add_rule(w->nat, w->service->family, chain, "%s %s-j %s",
					comment, sources[i].match,
					decision->action == ACTION_BALANCE ? pool.name
									   : "RETURN");
	}
}

static void add_masquerade(const struct work *w, const char *chain, const char *match,
			   const struct frontend *f)
{
	bool pods = f->from[CLIENT_POD].masquerade,
	     others = f->from[CLIENT_NODE].masquerade;
	bool is_all = others && (pods || !*w->is_pod);

	if (!others && !(pods && *w->is_pod))
		return;
	iptables_table_add_rule(w->nat, w->service->family, chain,
				"%s %s%s-j KUBE-MARK-MASQ", match,
				others && !is_all ? "! " : "", is_all ? "" : w->is_pod);
}

static void add_ext_chain(const struct work *w, const char *chain,
			  const struct frontend *f)
{
	char comment[IPTABLES_COMMENT_LEN];

	iptables_table_add_chain(w->nat, chain);
	if (!has_one_way(f)) {
		add_sources(w, chain, f);
		return;
	}
	add_masquerade(w, chain,
		       iptables_comment(w->service, "masquerade traffic", comment), f);
	iptables_table_add_rule(
		w->nat, w->service->family, chain, "-j %s",
		iptables_pool_chain(w->service, f->from[CLIENT_NODE].pool).name);
}

/* Packets of other sources are dropped in table filter. */
static void add_fw_chain(const struct work *w, const char *chain, const char *ext)
{
	const struct cidr *allowed = service_allowed(w->service);
	char comment[IPTABLES_COMMENT_LEN], cidr[CIDR_TEXT_LEN];

	iptables_table_add_chain(w->nat, chain);
	(void)iptables_comment(w->service, "allowed source", comment);
	for (uint32_t i = 0; i < w->service->n_allowed; i++)
		iptables_table_add_rule(w->nat, w->service->family, chain,
					"%s -s %s -j %s", comment,
					cidr_format(&allowed[i], cidr), ext);
}

static const char *kind_text(const struct frontend *f)
{
	static const char *const texts[] = {
		[FRONTEND_CLUSTER_IP] = "cluster IP",
		[FRONTEND_EXTERNAL_IP] = "external IP",
		[FRONTEND_LOAD_BALANCER] = "loadbalancer IP",
		[FRONTEND_NODE_PORT] = "node port",
	};

	return texts[f->kind];
}

/* The chain that this frontend's packets go to. */
static struct iptables_chain add_group(struct work *w, uint32_t i)
{
	const struct frontend *f = &service_frontends(w->service)[i];
	struct group *g = group_of(w, i);
	struct iptables_chain ext = group_chain(w, g, IPTABLES_EXT), fw;

	if (!g->has_ext)
		add_ext_chain(w, ext.name, f);
	g->has_ext = true;
	if (!f->is_limited)
		return ext;
	fw = group_chain(w, g, IPTABLES_FW);
	if (!g->has_fw)
		add_fw_chain(w, fw.name, ext.name);
	g->has_fw = true;
	return fw;
}

static void add_frontend(struct work *w, uint32_t i)
{
	const struct frontend *f = &service_frontends(w->service)[i];
	struct iptables_chain target;
	char match[IPTABLES_MATCH_LEN];

	(void)iptables_match_frontend(w->service, f, kind_text(f), match);
	if (is_direct(f)) {
		target = iptables_pool_chain(w->service, f->from[CLIENT_NODE].pool);
		add_masquerade(w, target.name, match, f);
	} else {
		target = add_group(w, i);
	}
	iptables_table_add_rule(w->nat, w->service->family,
				f->kind == FRONTEND_NODE_PORT ? "KUBE-NODEPORTS"
							      : "KUBE-SERVICES",
				"%s -j %s", match, target.name);
}

void iptables_nat_begin(struct iptables_table *nat, const struct environment *env)
{
	static const char *const chains[] = {"KUBE-SERVICES", "KUBE-NODEPORTS",
					     "KUBE-POSTROUTING", "KUBE-MARK-MASQ"};

	for (size_t i = 0; i < N_ELEMENTS(chains); i++)
		iptables_table_add_chain(nat, chains[i]);
	iptables_table_add_rule(nat, FAMILY_N, "PREROUTING", "-j KUBE-SERVICES");
	iptables_table_add_rule(nat, FAMILY_N, "OUTPUT", "-j KUBE-SERVICES");
	iptables_table_add_rule(nat, FAMILY_N, "POSTROUTING", "-j KUBE-POSTROUTING");
	iptables_table_add_rule(nat, FAMILY_N, "KUBE-MARK-MASQ", "-j MARK --or-mark 0x%x",
				env->masquerade_mark);
	iptables_table_add_rule(nat, FAMILY_N, "KUBE-POSTROUTING",
				"-m mark ! --mark 0x%x/0x%x -j RETURN",
				env->masquerade_mark, env->masquerade_mark);
	iptables_table_add_rule(nat, FAMILY_N, "KUBE-POSTROUTING",
				"-j MARK --xor-mark 0x%x", env->masquerade_mark);
	iptables_table_add_rule(nat, FAMILY_N, "KUBE-POSTROUTING",
				"-j MASQUERADE --random-fully");
}

void iptables_nat_add_service(struct iptables_table *nat, const struct environment *env,
			      const struct service *s)
{
	struct work w = {.nat = nat, .service = s};

	format_detector(env, s->family, w.is_pod);
	for (uint32_t i = 0; i < s->n_frontends; i++) {
		if (is_balanced(&service_frontends(s)[i]))
			add_frontend(&w, i);
	}
	iptables_pools_add(nat, s);
	free(w.groups);
}

void iptables_nat_end(struct iptables_table *nat, const struct environment *env)
{
	const size_t *n = env->n_node_addresses;

	iptables_table_add_jumps(nat, env, "KUBE-SERVICES", "KUBE-NODEPORTS");
	if (n[FAMILY_IPV4] == 0 || n[FAMILY_IPV6] == 0)
		iptables_table_add_rule(nat,
					n[FAMILY_IPV4]	 ? FAMILY_IPV6
					: n[FAMILY_IPV6] ? FAMILY_IPV4
							 : FAMILY_N,
					"KUBE-SERVICES",
					"-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS");
}
