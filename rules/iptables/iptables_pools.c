/*
 * Equal shares at random: the first of n endpoints takes 1/n, the next one
 * 1/(n-1) of the rest, and so on.  Affinity is a list of clients for each
 * endpoint, looked up before the random choice.
 */
#include "rules/iptables/iptables_pools.h"

#include <stdio.h>

/* A client with a recent connection goes to the same endpoint. */
static void add_remembered(struct iptables_table *nat, const struct service *s,
			   const char *chain, const struct endpoint *e)
{
	struct iptables_chain sep = iptables_endpoint_chain(s, e);
	char addr_port[ADDR_PORT_TEXT_LEN], comment[IPTABLES_COMMENT_LEN];

	(void)iptables_comment(s, addr_port_format(&e->addr, e->port, addr_port),
			       comment);
	iptables_table_add_rule(nat, s->family, chain,
				"%s -m recent --name %s --rcheck --seconds %u --reap "
				"--rsource -j %s",
				comment, sep.name, s->affinity_sec, sep.name);
}

/* Each endpoint takes its share of the rest. */
static void add_share(struct iptables_table *nat, const struct service *s,
		      const char *chain, const struct endpoint *e, uint32_t n_left)
{
	struct iptables_chain sep = iptables_endpoint_chain(s, e);
	char addr_port[ADDR_PORT_TEXT_LEN], comment[IPTABLES_COMMENT_LEN];
	char share[64] = "";

	(void)iptables_comment(s, addr_port_format(&e->addr, e->port, addr_port),
			       comment);
	if (n_left > 1)
		(void)snprintf(share, sizeof(share),
			       "-m statistic --mode random --probability %.10f ",
			       1.0 / n_left);
	iptables_table_add_rule(nat, s->family, chain, "%s %s-j %s", comment, share,
				sep.name);
}

static void add_pool(struct iptables_table *nat, const struct service *s, enum pool pool)
{
	const struct endpoint *endpoints = service_endpoints(s);
	struct iptables_chain chain = iptables_pool_chain(s, pool);
	uint32_t n_left = s->n_pool[pool];

	iptables_table_add_chain(nat, chain.name);
	for (uint32_t i = 0; i < s->n_endpoints && s->affinity_sec; i++) {
		if (endpoints[i].flags & 1u << pool)
			add_remembered(nat, s, chain.name, &endpoints[i]);
	}
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		if (endpoints[i].flags & 1u << pool)
			add_share(nat, s, chain.name, &endpoints[i], n_left--);
	}
}

/* An endpoint that reaches itself must not see its own address as the client's. */
static void add_endpoint(struct iptables_table *nat, const struct service *s,
			 const struct endpoint *e)
{
	struct iptables_chain sep = iptables_endpoint_chain(s, e);
	char addr_port[ADDR_PORT_TEXT_LEN], comment[IPTABLES_COMMENT_LEN];
	char addr[ADDR_TEXT_LEN], remember[64] = "";
	const char *proto = iptables_proto(s->proto);

	iptables_table_add_chain(nat, sep.name);
	(void)iptables_comment(s, "", comment);
	iptables_table_add_rule(nat, s->family, sep.name, "%s -s %s -j KUBE-MARK-MASQ",
				comment, addr_format(&e->addr, addr));
	if (s->affinity_sec)
		(void)snprintf(remember, sizeof(remember),
			       "-m recent --name %s --set --rsource ", sep.name);
	iptables_table_add_rule(nat, s->family, sep.name,
				"%s %s-p %s -m %s -j DNAT --to-destination %s", comment,
				remember, proto, proto,
				addr_port_format(&e->addr, e->port, addr_port));
}

struct iptables_chain iptables_pool_chain(const struct service *s, enum pool pool)
{
	return iptables_chain_name(pool == POOL_LOCAL ? IPTABLES_SVL : IPTABLES_SVC, s,
				   "");
}

void iptables_pools_add(struct iptables_table *nat, const struct service *s)
{
	const struct endpoint *endpoints = service_endpoints(s);
	unsigned used = 0;

	for (enum pool pool = 0; pool < POOL_N; pool++) {
		if (!service_uses_pool(s, pool))
			continue;
		add_pool(nat, s, pool);
		used |= 1u << pool;
	}
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		if (endpoints[i].flags & used)
			add_endpoint(nat, s, &endpoints[i]);
	}
}
