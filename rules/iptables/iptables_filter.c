/*
 * A frontend that is balanced for some clients only has its rule for the others
 * here: packets of the former have another destination by now.
 */
#include "rules/iptables/iptables_filter.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"

/*
 * TCP by a reset: an ICMP error is lost when it arrives while connect() holds
 * the socket.
 */
static const char *reject_target(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "REJECT --reject-with tcp-reset" : "REJECT";
}

/* The action for clients that are not balanced; ACTION_BALANCE when all are. */
static enum action leftover_action(const struct frontend *f)
{
	enum action action = ACTION_BALANCE;

	for (unsigned client = 0; client < CLIENT_N; client++) {
		if (f->from[client].action == ACTION_REJECT)
			return ACTION_REJECT;
		if (f->from[client].action == ACTION_DROP)
			action = ACTION_DROP;
	}
	return action;
}

static const char *leftover_target(const struct service *s, const struct frontend *f)
{
	return leftover_action(f) == ACTION_REJECT ? reject_target(s->proto) : "DROP";
}

/* Allowed sources continue to the frontend's own rule. */
static void add_limited(struct iptables_table *filter, const struct service *s,
			const struct frontend *f)
{
	const struct cidr *allowed = service_allowed(s);
	char match[IPTABLES_MATCH_LEN], cidr[CIDR_TEXT_LEN];

	(void)iptables_match_frontend(s, f, "allowed source", match);
	for (uint32_t i = 0; i < s->n_allowed && leftover_action(f) == ACTION_REJECT; i++)
		iptables_table_add_rule(filter, s->family, "KUBE-PROXY-FIREWALL",
					"%s -s %s -j %s", match,
					cidr_format(&allowed[i], cidr),
					reject_target(s->proto));
	(void)iptables_match_frontend(s, f, "traffic not accepted by source ranges",
				      match);
	iptables_table_add_rule(filter, s->family, "KUBE-PROXY-FIREWALL", "%s -j DROP",
				match);
}

static const char *chain_of(const struct frontend *f)
{
	if (frontend_is_everywhere(f))
		return "KUBE-NODEPORTS";
	return f->kind == FRONTEND_CLUSTER_IP ? "KUBE-SERVICES"
					      : "KUBE-EXTERNAL-SERVICES";
}

static void add_frontend(struct iptables_table *filter, const struct service *s,
			 const struct frontend *f)
{
	static const char *const whats[] = {
		[ACTION_REJECT] = "has no endpoints",
		[ACTION_DROP] = "has no local endpoints",
	};
	enum action action = leftover_action(f);
	char match[IPTABLES_MATCH_LEN];

	if (f->is_limited)
		add_limited(filter, s, f);
	if (action == ACTION_BALANCE)
		return;
	iptables_table_add_rule(filter, s->family, chain_of(f), "%s -j %s",
				iptables_match_frontend(s, f, whats[action], match),
				leftover_target(s, f));
}

static int compare_addrs(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* Every cluster IP, sorted, repeated for each port; the caller frees the array. */
static struct addr *cluster_ips(const struct changeset *full, size_t *ret_n)
{
	struct addr *addrs = NULL;
	size_t n = 0, cap = 0;

	for (size_t i = 0; i < full->n; i++) {
		const struct service *s = full->changes[i].new;
		const struct frontend *f = service_frontends(s);

		for (uint32_t j = 0; j < s->n_frontends; j++) {
			if (f[j].kind != FRONTEND_CLUSTER_IP)
				continue;
			addrs = xgrow(addrs, n, &cap, sizeof(*addrs));
			addrs[n++] = f[j].addr;
		}
	}
	if (n > 0)
		qsort(addrs, n, sizeof(*addrs), compare_addrs);
	*ret_n = n;
	return addrs;
}

static void add_unknown_port(struct iptables_table *filter, const struct addr *a)
{
	char text[ADDR_TEXT_LEN];

	(void)addr_format(a, text);
	iptables_table_add_rule(filter, addr_family(a), "KUBE-CLUSTER-IPS",
				"-d %s -p tcp -j %s", text, reject_target(IPPROTO_TCP));
	iptables_table_add_rule(filter, addr_family(a), "KUBE-CLUSTER-IPS",
				"-d %s -j REJECT", text);
}

void iptables_filter_begin(struct iptables_table *filter, const struct environment *env)
{
	static const struct {
		const char *hook, *chain;
	} jumps[] = {
		{"INPUT", "KUBE-PROXY-FIREWALL"},
		{"INPUT", "KUBE-EXTERNAL-SERVICES"},
		{"FORWARD", "KUBE-PROXY-FIREWALL"},
		{"FORWARD", "KUBE-SERVICES"},
		{"FORWARD", "KUBE-EXTERNAL-SERVICES"},
		{"FORWARD", "KUBE-CLUSTER-IPS"},
		{"OUTPUT", "KUBE-PROXY-FIREWALL"},
		{"OUTPUT", "KUBE-SERVICES"},
		{"OUTPUT", "KUBE-EXTERNAL-SERVICES"},
		{"OUTPUT", "KUBE-CLUSTER-IPS"},
	};
	static const char *const chains[] = {"KUBE-PROXY-FIREWALL", "KUBE-SERVICES",
					     "KUBE-EXTERNAL-SERVICES",
					     "KUBE-CLUSTER-IPS"};

	for (size_t i = 0; i < N_ELEMENTS(chains); i++)
		iptables_table_add_chain(filter, chains[i]);
	for (size_t i = 0; i < N_ELEMENTS(jumps); i++)
		iptables_table_add_rule(filter, FAMILY_N, jumps[i].hook,
					"-m conntrack --ctstate NEW -j %s",
					jumps[i].chain);
	if (env->n_node_addresses[FAMILY_IPV4] == 0 &&
	    env->n_node_addresses[FAMILY_IPV6] == 0)
		return;
	iptables_table_add_chain(filter, "KUBE-NODEPORTS");
	iptables_table_add_jumps(filter, env, "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS");
}

void iptables_filter_add_service(struct iptables_table *filter, const struct service *s)
{
	for (uint32_t i = 0; i < s->n_frontends; i++)
		add_frontend(filter, s, &service_frontends(s)[i]);
}

void iptables_filter_end(struct iptables_table *filter, const struct changeset *full)
{
	_cleanup_(freep) struct addr *addrs = NULL;
	const struct environment *env = full->env;
	char text[CIDR_TEXT_LEN];
	size_t n;

	addrs = cluster_ips(full, &n);
	for (size_t i = 0; i < n; i++) {
		if (env->enabled[addr_family(&addrs[i])] &&
		    (i == 0 || !addr_equal(&addrs[i - 1], &addrs[i])))
			add_unknown_port(filter, &addrs[i]);
	}
	for (uint32_t i = 0; i < env->n_service_cidrs; i++) {
		if (env->enabled[cidr_family(&env->service_cidrs[i])])
			iptables_table_add_rule(filter,
						cidr_family(&env->service_cidrs[i]),
						"KUBE-CLUSTER-IPS", "-d %s -j DROP",
						cidr_format(&env->service_cidrs[i],
							    text));
	}
}
