#include "tests/kernel/kernel_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/environment.h"
#include "core/state.h"
#include "tests/kernel/ruleset.h"
#include "tests/test.h"

struct source_case {
	enum client_class client; /* without a detector a pod counts as external */
	const char *addr[FAMILY_N];
	const char *iif;
};

static const struct source_case sources[] = {
	{CLIENT_POD, {"10.180.200.200", "fd00:10:180:99::1"}, "veth1"},
	{CLIENT_NODE, {"192.168.0.2", "fd00:192:168::2"}, NULL},
	{CLIENT_EXTERNAL, {"203.0.113.77", "2001:db8:113::77"}, "eth0"},
	{CLIENT_EXTERNAL, {"203.0.113.200", "2001:db8:999::1"}, "eth0"},
};

static void fail_at(const struct service *s, const struct frontend *f,
		    const struct packet *p, const char *why)
{
	char label[256], to[ADDR_PORT_TEXT_LEN], from[ADDR_TEXT_LEN];

	if (system("nft list ruleset >&2") != 0)
		print_error("the ruleset could not be listed\n");
	fail_msg("%s: %s %s from %s%s%s: %s",
		 s ? service_label(s, label, sizeof(label)) : "no service",
		 addr_port_format(&p->daddr, p->dport, to), proto_name(p->proto),
		 addr_format(&p->saddr, from), f && f->is_limited ? " (limited)" : "",
		 p->iif ? "" : " (this node)", why);
}

static bool is_host_address(const struct kernel_check *c, const struct addr *a)
{
	for (size_t i = 0; i < c->n_hosts; i++)
		if (addr_equal(&c->hosts[i], a))
			return true;
	return false;
}

static struct packet make_packet(const struct kernel_check *c,
				 const struct source_case *src, const struct addr *to,
				 uint8_t proto, uint16_t port)
{
	struct packet p = {
		.daddr = *to,
		.proto = proto,
		.dport = port,
		.iif = src->iif,
		.is_to_host = is_host_address(c, to),
	};

	assert_int_equal(addr_parse(src->addr[addr_family(to)], &p.saddr), 0);
	return p;
}

static bool may_enter(const struct service *s, const struct frontend *f,
		      const struct addr *client)
{
	if (!f->is_limited)
		return true;
	for (uint32_t i = 0; i < s->n_allowed; i++)
		if (cidr_contains(&service_allowed(s)[i], client))
			return true;
	return false;
}

/* Each endpoint of the pool must come up for exactly one choice, and no other. */
static void check_balanced(struct kernel_check *c, const struct ruleset *rs,
			   const struct service *s, const struct frontend *f,
			   const struct decision *d, struct packet p)
{
	const struct endpoint *endpoints = service_endpoints(s);
	_cleanup_(freep) bool *seen = calloc(s->n_endpoints + 1, 1);
	uint32_t n_choices = 1, n_seen = 0;

	for (p.choice = 0; p.choice < n_choices; p.choice++) {
		struct walk w = ruleset_walk(rs, &p);
		uint32_t i;

		c->n_walks++;
		n_choices = w.n_choices;
		if (w.fate != FATE_SENT)
			fail_at(s, f, &p, "should be balanced");
		if (w.is_masqueraded != d->masquerade)
			fail_at(s, f, &p,
				d->masquerade ? "should be masqueraded"
					      : "should not be masqueraded");
		if (w.mark)
			fail_at(s, f, &p, "leaves with a mark");
		for (i = 0; i < s->n_endpoints; i++)
			if (addr_equal(&endpoints[i].addr, &w.daddr) &&
			    endpoints[i].port == w.dport &&
			    endpoints[i].flags & (1 << d->pool))
				break;
		if (i == s->n_endpoints)
			fail_at(s, f, &p, "goes to an endpoint outside the pool");
		if (seen[i])
			fail_at(s, f, &p, "an endpoint comes up twice");
		seen[i] = true;
		n_seen++;
	}
	if (n_seen != s->n_pool[d->pool])
		fail_at(s, f, &p, "an endpoint of the pool never comes up");
}

static void check_not_sent(struct kernel_check *c, const struct ruleset *rs,
			   const struct service *s, const struct frontend *f,
			   const struct packet *p, enum fate fate)
{
	static const char *const why[] = {"should be left alone", "", "should be refused",
					  "should be dropped"};
	struct walk w = ruleset_walk(rs, p);

	c->n_walks++;
	if (w.fate != fate)
		fail_at(s, f, p, why[fate]);
	if (fate == FATE_REFUSED && w.is_refused_by_reset != (p->proto == IPPROTO_TCP))
		fail_at(s, f, p, "TCP, and only TCP, is refused by a reset");
}

static const struct decision *decision_for(const struct kernel_check *c,
					   const struct frontend *f,
					   enum client_class client)
{
	if (client == CLIENT_POD &&
	    !environment_has_detector(c->env, addr_family(&f->addr)))
		client = CLIENT_EXTERNAL;
	return &f->from[client];
}

static void check_frontend(struct kernel_check *c, const struct ruleset *rs,
			   const struct service *s, const struct frontend *f)
{
	for (size_t i = 0; i < N_ELEMENTS(sources); i++) {
		const struct decision *d = decision_for(c, f, sources[i].client);
		struct packet p =
			make_packet(c, &sources[i], &f->addr, s->proto, f->port);

		c->n_decisions++;
		if (!may_enter(s, f, &p.saddr)) {
			c->n_limited++;
			check_not_sent(c, rs, s, f, &p, FATE_DROPPED);
			continue;
		}
		c->n_actions[d->action]++;
		c->n_masqueraded += d->masquerade;
		if (d->action == ACTION_BALANCE)
			check_balanced(c, rs, s, f, d, p);
		else
			check_not_sent(c, rs, s, f, &p,
				       d->action == ACTION_REJECT ? FATE_REFUSED
								  : FATE_DROPPED);
	}
}

/* An endpoint on this node that reaches itself must be masqueraded, in each class of client. */
static void check_hairpins(struct kernel_check *c, const struct ruleset *rs,
			   const struct service *s, const struct frontend *f)
{
	const struct endpoint *endpoints = service_endpoints(s);
	const struct decision *d = decision_for(c, f, CLIENT_POD);

	if (d->action != ACTION_BALANCE)
		return;
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		struct packet p =
			make_packet(c, &sources[0], &f->addr, s->proto, f->port);
		uint32_t n_choices = 1;

		p.saddr = endpoints[i].addr;
		if (!(endpoints[i].flags & ENDPOINT_HERE) ||
		    !(endpoints[i].flags & (1 << d->pool)) || !may_enter(s, f, &p.saddr))
			continue;
		for (p.choice = 0; p.choice < n_choices; p.choice++) {
			struct walk w = ruleset_walk(rs, &p);
			bool is_itself = addr_equal(&w.daddr, &p.saddr);

			c->n_walks++;
			n_choices = w.n_choices;
			c->n_hairpins += is_itself;
			if (w.is_masqueraded != (is_itself || d->masquerade))
				fail_at(s, f, &p, "hairpin: wrongly masqueraded or not");
		}
	}
}

/* At its address, or at each of the node's. */
static void check_places(struct kernel_check *c, const struct ruleset *rs,
			 const struct service *s, const struct frontend *f)
{
	bool is_everywhere = frontend_is_everywhere(f);
	size_t n = is_everywhere ? c->env->n_node_addresses[s->family] : 1;
	struct frontend at = *f;

	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		if (is_everywhere)
			at.addr = c->env->node_addresses[s->family][i];
		c->n_frontends++;
		check_frontend(c, rs, s, &at);
		check_hairpins(c, rs, s, &at);
	}
}

static bool is_cluster_ip(const struct kernel_check *c, const struct addr *a)
{
	const struct service *s;

	for (size_t i = 0; (s = state_next(c->state, &i));)
		for (uint32_t k = 0; k < s->n_frontends; k++)
			if (s->frontends[k].kind == FRONTEND_CLUSTER_IP &&
			    addr_equal(&s->frontends[k].addr, a))
				return true;
	return false;
}

static bool is_in_service_cidr(const struct kernel_check *c, const struct addr *a)
{
	for (uint32_t i = 0; i < c->env->n_service_cidrs; i++)
		if (cidr_family(&c->env->service_cidrs[i]) == addr_family(a) &&
		    cidr_contains(&c->env->service_cidrs[i], a))
			return true;
	return false;
}

/* Every address and port of the pools that is not a frontend now. */
static void check_unused(struct kernel_check *c, const struct ruleset *rs,
			 enum family family)
{
	static const char *const formats[][FAMILY_N] = {
		{"172.30.0.%u", "fd00:172:30::%x"},
		{"192.168.99.%u", "fd00:99::%x"},
		{"1.2.3.%u", "2001:db8:1::%x"},
	};
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

	for (uint32_t i = 0; i < N_ELEMENTS(formats) * 12 * N_ELEMENTS(protos); i++) {
		uint8_t proto = protos[i % N_ELEMENTS(protos)];
		uint32_t number = i / N_ELEMENTS(protos) % 12 + (i >= 12 * 3 ? 0 : 10);
		const struct frontend *f;
		char text[ADDR_TEXT_LEN];
		struct packet p;
		struct addr a;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(text, sizeof(text),
			       formats[i / 12 / N_ELEMENTS(protos)][family], number);
#pragma GCC diagnostic pop
		assert_int_equal(addr_parse(text, &a), 0);
		if (state_find_frontend(c->state, &a, proto, 81, &f))
			continue;
		p = make_packet(c, &sources[i % N_ELEMENTS(sources)], &a, proto, 81);
		c->n_gone++;
		check_not_sent(c, rs, NULL, NULL, &p,
			       is_cluster_ip(c, &a)	   ? FATE_REFUSED
			       : is_in_service_cidr(c, &a) ? FATE_DROPPED
							   : FATE_UNTOUCHED);
	}
}

void kernel_check_run(struct kernel_check *c)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct ruleset *rs = ruleset_read((enum family)family, "sluice");
		const struct service *s;

		c->n_tables++;
		c->n_elements += ruleset_n_elements(rs);
		if (ruleset_n_rules(rs) > c->max_rules)
			c->max_rules = ruleset_n_rules(rs);
		for (size_t i = 0; (s = state_next(c->state, &i));) {
			if (s->family != family)
				continue;
			for (uint32_t k = 0; k < s->n_frontends; k++)
				check_places(c, rs, s, &s->frontends[k]);
		}
		check_unused(c, rs, (enum family)family);
		ruleset_free(rs);
	}
}
