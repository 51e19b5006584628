/*
 * The ruleset.  A chain's rules are the rows with its kind, top to bottom,
 * those whose condition holds; a row may stand for several rules, one for each
 * protocol or service network.
 */
#include "rules/nft/nft_rules.h"

#include "core/cleanup.h"

enum when {
	WHEN_DETECTOR = 1 << 0,
	WHEN_MASQUERADE_ALL = 1 << 1,
	WHEN_NO_MASQUERADE_ALL = 1 << 2,
	EACH_PROTO = 1 << 3,
	EACH_SERVICE_CIDR = 1 << 4,
	WHEN_NODE_ADDRESSES = 1 << 5,
};

struct row {
	uint8_t chain, when;
	struct nft_stmt stmts[NFT_RULE_MAX + 1];
};

#define ON(op, shape, set)                                                               \
	{                                                                                \
		STMT_##op, SHAPE_##shape, SET_##set, 0                                   \
	}
#define IN(shape, set)		ON(IN, shape, set)
#define NOT_IN(shape, set)	ON(NOT_IN, shape, set)
#define VMAP(shape, set)	ON(VMAP, shape, set)
#define IS_NODE_ADDRESS		IN(ADDR, NODE_ADDRESSES)
#define DNAT(shape, set)	ON(DNAT, shape, set)
#define LOAD_NUMBER(shape, set) ON(LOAD_NUMBER, shape, set)
#define JUMP(kind)                                                                       \
	{                                                                                \
		STMT_JUMP, 0, 0, CHAIN_##kind                                            \
	}
#define GOTO(kind)                                                                       \
	{                                                                                \
		STMT_GOTO, 0, 0, CHAIN_##kind                                            \
	}
#define DO(op)                                                                           \
	{                                                                                \
		STMT_##op, 0, 0, 0                                                       \
	}

/*
 * A Service that has its node port at all node addresses is in each set and map
 * once, at the unspecified address: what is looked up for the packet's address is
 * looked up for that one, too, if the packet's is a node address.  No frontend has
 * both.
 */
/* clang-format off */
static const struct row rows[] = {
	/*
	 * TCP is refused with a reset: an ICMP error that comes back while
	 * connect() still holds the socket is dropped (TcpExtLockDroppedIcmps), and
	 * an IPv6 client on this host then waits 1 s for its retransmission.
	 */
	{CHAIN_REFUSE, 0, {DO(RESET)}},
	{CHAIN_REFUSE, 0, {DO(REJECT)}},

	/* Policy Local as this node sees it: every endpoint is fair, masqueraded. */
	{CHAIN_DISPATCH_FROM_NODE, 0, {IN(FRONTEND, MASQUERADE_FROM_NODE), DO(MARK)}},
	{CHAIN_DISPATCH_FROM_NODE, WHEN_NODE_ADDRESSES,
		{IS_NODE_ADDRESS, IN(NODE_PORT, MASQUERADE_FROM_NODE), DO(MARK)}},
	{CHAIN_DISPATCH_FROM_NODE, 0, {VMAP(FRONTEND, INTERNAL_FRONTENDS)}},
	{CHAIN_DISPATCH_FROM_NODE, WHEN_NODE_ADDRESSES,
		{IS_NODE_ADDRESS, VMAP(NODE_PORT, INTERNAL_FRONTENDS)}},

	{CHAIN_DISPATCH, 0, {IN(FRONTEND, MASQUERADE_ALWAYS), DO(MARK)}},
	{CHAIN_DISPATCH, WHEN_NODE_ADDRESSES,
		{IS_NODE_ADDRESS, IN(NODE_PORT, MASQUERADE_ALWAYS), DO(MARK)}},
	{CHAIN_DISPATCH, WHEN_MASQUERADE_ALL, {IN(ADDR, CLUSTER_IPS), DO(MARK)}},
	{CHAIN_DISPATCH, WHEN_NO_MASQUERADE_ALL | WHEN_DETECTOR,
		{IN(ADDR, CLUSTER_IPS), DO(IS_NO_POD), DO(MARK)}},
	{CHAIN_DISPATCH, WHEN_DETECTOR, {DO(IS_POD), VMAP(FRONTEND, INTERNAL_FRONTENDS)}},
	{CHAIN_DISPATCH, WHEN_DETECTOR | WHEN_NODE_ADDRESSES,
		{DO(IS_POD), IS_NODE_ADDRESS, VMAP(NODE_PORT, INTERNAL_FRONTENDS)}},
	{CHAIN_DISPATCH, 0, {DO(IS_HERE), JUMP(DISPATCH_FROM_NODE)}},
	{CHAIN_DISPATCH, 0, {VMAP(FRONTEND, FRONTENDS)}},
	{CHAIN_DISPATCH, WHEN_NODE_ADDRESSES, {IS_NODE_ADDRESS, VMAP(NODE_PORT, FRONTENDS)}},

	/* a map, because its elements count: the set before it would count all clients */
	{CHAIN_CHECK_SOURCE, 0, {IN(FRONTEND, SOURCE_LIMITED), NOT_IN(SOURCE, SOURCE_RANGES),
		VMAP(FRONTEND, SOURCE_DROPS)}},
	/* A translated packet has an endpoint's address, which may be a frontend's, too. */
	{CHAIN_REFUSE_NO_ENDPOINTS, 0, {DO(IS_TRANSLATED), DO(RETURN)}},
	{CHAIN_REFUSE_NO_ENDPOINTS, 0, {VMAP(FRONTEND, NO_ENDPOINTS)}},
	{CHAIN_REFUSE_NO_ENDPOINTS, WHEN_NODE_ADDRESSES,
		{IS_NODE_ADDRESS, VMAP(NODE_PORT, NO_ENDPOINTS)}},
	{CHAIN_REFUSE_UNKNOWN_PORTS, 0, {DO(IS_TRANSLATED), DO(RETURN)}},
	{CHAIN_REFUSE_UNKNOWN_PORTS, 0, {IN(ADDR, CLUSTER_IPS), GOTO(REFUSE)}},
	/*
	 * A router may send a load balancer's address here, and the route from here
	 * lead back to it.  Another host may have such an address, too: packets that
	 * don't go back are left alone.
	 */
	{CHAIN_REFUSE_FORWARDED, 0, {DO(IS_TRANSLATED), DO(RETURN)}},
	{CHAIN_REFUSE_FORWARDED, 0,
		{IN(ADDR, EXTERNAL_ADDRESSES), DO(IS_ROUTED_BACK), GOTO(REFUSE)}},
	{CHAIN_DROP_UNKNOWN_SERVICES, 0, {DO(IS_TRANSLATED), DO(RETURN)}},
	{CHAIN_DROP_UNKNOWN_SERVICES, EACH_SERVICE_CIDR, {DO(IN_SERVICE_CIDR), DO(DROP)}},

	/* Another program may use the mark's bit: only translated packets are ours. */
	{CHAIN_MASQUERADE_TRANSLATED, 0, {IN(HAIRPIN, HAIRPIN), DO(MASQUERADE)}},
	{CHAIN_MASQUERADE_TRANSLATED, 0, {DO(IS_UNMARKED), DO(RETURN)}},
	{CHAIN_MASQUERADE_TRANSLATED, 0, {DO(UNMARK)}},
	{CHAIN_MASQUERADE_TRANSLATED, 0, {DO(MASQUERADE)}},

	/*
	 * A chain of its own that is always there: when a rule with a look-up in a map
	 * is added to a new chain, the kernel walks the whole map (nf_tables_bind_set),
	 * and this one may have a million elements.
	 */
	{CHAIN_AFFINITY_BOUND, 0, {LOAD_NUMBER(CLIENT, AFFINITY_CLIENTS)}},

	/* nft wants the protocol to be known for "proto-dst" */
	{CHAIN_AFFINITY_LEARN, EACH_PROTO,
		{DO(PROTO), LOAD_NUMBER(ORIGINAL, AFFINITY_SERVICES),
		 VMAP(NUMBER, AFFINITY_TIMEOUTS)}},
	{CHAIN_AFFINITY_LEARN, EACH_PROTO | WHEN_NODE_ADDRESSES,
		{DO(PROTO), IN(ORIGINAL_ADDR, NODE_ADDRESSES),
		 LOAD_NUMBER(ORIGINAL_NODE_PORT, AFFINITY_SERVICES),
		 VMAP(NUMBER, AFFINITY_TIMEOUTS)}},

	{CHAIN_SOURCE_PREROUTING, 0, {DO(IS_NEW), JUMP(CHECK_SOURCE)}},
	{CHAIN_SOURCE_OUTPUT, 0, {DO(IS_NEW), JUMP(CHECK_SOURCE)}},
	{CHAIN_NAT_PREROUTING, 0, {JUMP(DISPATCH)}},
	{CHAIN_NAT_OUTPUT, 0, {JUMP(DISPATCH)}},
	{CHAIN_FILTER_INPUT, 0, {DO(IS_NEW), JUMP(REFUSE_NO_ENDPOINTS)}},
	{CHAIN_FILTER_INPUT, 0, {DO(IS_NEW), JUMP(REFUSE_UNKNOWN_PORTS)}},
	{CHAIN_FILTER_FORWARD, 0, {DO(IS_NEW), JUMP(REFUSE_NO_ENDPOINTS)}},
	{CHAIN_FILTER_FORWARD, 0, {DO(IS_NEW), JUMP(REFUSE_UNKNOWN_PORTS)}},
	{CHAIN_FILTER_FORWARD, 0, {DO(IS_NEW), JUMP(REFUSE_FORWARDED)}},
	{CHAIN_FILTER_FORWARD, 0, {DO(IS_NEW), JUMP(DROP_UNKNOWN_SERVICES)}},
	{CHAIN_FILTER_OUTPUT, 0, {DO(IS_NEW), JUMP(REFUSE_NO_ENDPOINTS)}},
	{CHAIN_FILTER_OUTPUT, 0, {DO(IS_NEW), JUMP(REFUSE_UNKNOWN_PORTS)}},
	{CHAIN_FILTER_OUTPUT, 0, {DO(IS_NEW), JUMP(DROP_UNKNOWN_SERVICES)}},
	/* nat hooks see the first packet of a connection only, so these count connections */
	{CHAIN_AFFINITY_INPUT, 0, {DO(IS_TRANSLATED), JUMP(AFFINITY_LEARN)}},
	{CHAIN_AFFINITY_POSTROUTING, 0, {DO(IS_TRANSLATED), JUMP(AFFINITY_LEARN)}},
	{CHAIN_NAT_POSTROUTING, 0, {DO(IS_TRANSLATED), JUMP(MASQUERADE_TRANSLATED)}},

	{CHAIN_PICK, 0, {DNAT(SLOT, ENDPOINTS)}},
	{CHAIN_PICK, WHEN_NODE_ADDRESSES, {DNAT(NODE_PORT_SLOT, ENDPOINTS)}},
	{CHAIN_PICK_LOCAL, 0, {DNAT(SLOT, ENDPOINTS)}},
	{CHAIN_PICK_LOCAL, WHEN_NODE_ADDRESSES, {DNAT(NODE_PORT_SLOT, ENDPOINTS)}},

	/*
	 * A client that is bound to an endpoint that this pool doesn't have (any
	 * more) is let go: the kernel updates an element's timeout, never its data.
	 */
	/* the other Service's number, if the frontend is not at a node address, is replaced */
	{CHAIN_AFFINITY, WHEN_NODE_ADDRESSES, {LOAD_NUMBER(NODE_PORT, AFFINITY_SERVICES)}},
	{CHAIN_AFFINITY, 0, {LOAD_NUMBER(FRONTEND, AFFINITY_SERVICES)}},
	{CHAIN_AFFINITY, 0, {JUMP(AFFINITY_BOUND)}},
	{CHAIN_AFFINITY, EACH_PROTO, {DO(PROTO), DNAT(NUMBER, AFFINITY_ENDPOINTS)}},
	{CHAIN_AFFINITY, 0, {ON(FORGET, BOUND_CLIENT, AFFINITY_CLIENTS)}},
	{CHAIN_AFFINITY, 0, {DO(CLEAR_NUMBER)}},
	{CHAIN_AFFINITY, 0, {DO(GOTO_NEXT)}},
	{CHAIN_AFFINITY_LOCAL, WHEN_NODE_ADDRESSES, {LOAD_NUMBER(NODE_PORT, AFFINITY_SERVICES)}},
	{CHAIN_AFFINITY_LOCAL, 0, {LOAD_NUMBER(FRONTEND, AFFINITY_SERVICES)}},
	{CHAIN_AFFINITY_LOCAL, 0, {JUMP(AFFINITY_BOUND)}},
	{CHAIN_AFFINITY_LOCAL, EACH_PROTO, {DO(PROTO), DNAT(NUMBER, AFFINITY_LOCAL_ENDPOINTS)}},
	{CHAIN_AFFINITY_LOCAL, 0, {ON(FORGET, BOUND_CLIENT, AFFINITY_CLIENTS)}},
	{CHAIN_AFFINITY_LOCAL, 0, {DO(CLEAR_NUMBER)}},
	{CHAIN_AFFINITY_LOCAL, 0, {DO(GOTO_NEXT)}},

	/*
	 * Learned once DNAT is done, and only for an endpoint that is still there: a
	 * packet that was on its way when one left teaches nothing.  That look-up
	 * counts connections, those of bound clients, too.
	 */
	{CHAIN_AFFINITY_LEARN_FOR, EACH_PROTO,
		{DO(PROTO), LOAD_NUMBER(REPLY_NUMBERED, AFFINITY_NUMBERS),
		 ON(LEARN, BOUND_CLIENT, AFFINITY_CLIENTS)}},
	{CHAIN_AFFINITY_LEARN_FOR, 0, {DO(CLEAR_NUMBER)}},
};
/* clang-format on */

static bool row_holds(const struct row *row, enum family family,
		      const struct environment *env)
{
	unsigned have = 0;

	if (environment_has_detector(env, family))
		have |= WHEN_DETECTOR;
	if (env->n_node_addresses[family] > 0)
		have |= WHEN_NODE_ADDRESSES;
	have |= env->masquerade_all ? WHEN_MASQUERADE_ALL : WHEN_NO_MASQUERADE_ALL;
	return !(row->when & ~(have | EACH_PROTO | EACH_SERVICE_CIDR));
}

static void each_proto(struct nft_rule *rule,
		       void (*fn)(void *data, const struct nft_rule *rule), void *data)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

	for (size_t i = 0; i < N_ELEMENTS(protos); i++) {
		rule->proto = protos[i];
		fn(data, rule);
	}
}

static void each_service_cidr(struct nft_rule *rule,
			      void (*fn)(void *data, const struct nft_rule *rule),
			      void *data)
{
	for (uint32_t i = 0; i < rule->env->n_service_cidrs; i++) {
		rule->cidr = &rule->env->service_cidrs[i];
		if (cidr_family(rule->cidr) == rule->family)
			fn(data, rule);
	}
}

void nft_rules_each(struct nft_chain chain, enum family family,
		    const struct environment *env,
		    void (*fn)(void *data, const struct nft_rule *rule), void *data)
{
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct nft_rule rule = {
			.stmts = rows[i].stmts,
			.chain = chain,
			.family = family,
			.env = env,
		};

		if (rows[i].chain != chain.kind || !row_holds(&rows[i], family, env))
			continue;
		if (rows[i].when & EACH_PROTO)
			each_proto(&rule, fn, data);
		else if (rows[i].when & EACH_SERVICE_CIDR)
			each_service_cidr(&rule, fn, data);
		else
			fn(data, &rule);
	}
}
