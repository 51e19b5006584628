/*
 * Random clusters: what plan() decided for each frontend and kind of client
 * against what the tables in the kernel would do to a packet, as an independent
 * reading of their listing sees it.  Changes come as deltas, now and then as a
 * full change set over the last state, sometimes into an empty kernel.
 *
 * SLUICE_TEST_SEED repeats a run, SLUICE_TEST_CLUSTERS makes a longer one.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "rules/nft/nft.h"
#include "tests/kernel/nft_sample.h"
#include "tests/kernel/random_cluster.h"
#include "tests/kernel/ruleset.h"
#include "tests/test.h"
#include "watchers/cluster.h"
#include "watchers/plan/plan.h"

#define N_CLUSTERS 200
#define N_CHANGES  2 /* to each of them */

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

#define N_HOSTS 8

struct bench {
	struct random_cluster random;
	struct state *state;
	struct sink *sink;
	struct environment env;
	struct plan_options options;
	struct nodeport_addresses nodeports;
	struct addr host[N_HOSTS], *node_addresses[FAMILY_N];
	uint64_t n_tables, n_frontends, n_decisions, n_walks, n_elements, n_hairpins,
		n_gone;
	uint64_t n_actions[3], n_limited, n_masqueraded, n_conflicts, n_everywhere,
		n_node_changes;
	uint32_t max_rules;
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

static bool is_host_address(const struct bench *b, const struct addr *a)
{
	for (size_t i = 0; i < b->options.n_host_addresses; i++)
		if (addr_equal(&b->host[i], a))
			return true;
	return false;
}

static struct packet make_packet(const struct bench *b, const struct source_case *src,
				 const struct addr *to, uint8_t proto, uint16_t port)
{
	struct packet p = {
		.daddr = *to,
		.proto = proto,
		.dport = port,
		.iif = src->iif,
		.is_to_host = is_host_address(b, to),
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
static void check_balanced(struct bench *b, const struct ruleset *rs,
			   const struct service *s, const struct frontend *f,
			   const struct decision *d, struct packet p)
{
	const struct endpoint *endpoints = service_endpoints(s);
	_cleanup_(freep) bool *seen = calloc(s->n_endpoints + 1, 1);
	uint32_t n_choices = 1, n_seen = 0;

	for (p.choice = 0; p.choice < n_choices; p.choice++) {
		struct walk w = ruleset_walk(rs, &p);
		uint32_t i;

		b->n_walks++;
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

static void check_not_sent(struct bench *b, const struct ruleset *rs,
			   const struct service *s, const struct frontend *f,
			   const struct packet *p, enum fate fate)
{
	static const char *const why[] = {"should be left alone", "", "should be refused",
					  "should be dropped"};
	struct walk w = ruleset_walk(rs, p);

	b->n_walks++;
	if (w.fate != fate)
		fail_at(s, f, p, why[fate]);
	if (fate == FATE_REFUSED && w.is_refused_by_reset != (p->proto == IPPROTO_TCP))
		fail_at(s, f, p, "TCP, and only TCP, is refused by a reset");
}

static const struct decision *
decision_for(const struct bench *b, const struct frontend *f, enum client_class client)
{
	if (client == CLIENT_POD &&
	    !environment_has_detector(&b->env, addr_family(&f->addr)))
		client = CLIENT_EXTERNAL;
	return &f->from[client];
}

static void check_frontend(struct bench *b, const struct ruleset *rs,
			   const struct service *s, const struct frontend *f)
{
	for (size_t i = 0; i < N_ELEMENTS(sources); i++) {
		const struct decision *d = decision_for(b, f, sources[i].client);
		struct packet p =
			make_packet(b, &sources[i], &f->addr, s->proto, f->port);

		b->n_decisions++;
		if (!may_enter(s, f, &p.saddr)) {
			b->n_limited++;
			check_not_sent(b, rs, s, f, &p, FATE_DROPPED);
			continue;
		}
		b->n_actions[d->action]++;
		b->n_masqueraded += d->masquerade;
		if (d->action == ACTION_BALANCE)
			check_balanced(b, rs, s, f, d, p);
		else
			check_not_sent(b, rs, s, f, &p,
				       d->action == ACTION_REJECT ? FATE_REFUSED
								  : FATE_DROPPED);
	}
}

/* An endpoint on this node that reaches itself must be masqueraded, in each class of client. */
static void check_hairpins(struct bench *b, const struct ruleset *rs,
			   const struct service *s, const struct frontend *f)
{
	const struct endpoint *endpoints = service_endpoints(s);
	const struct decision *d = decision_for(b, f, CLIENT_POD);

	if (d->action != ACTION_BALANCE)
		return;
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		struct packet p =
			make_packet(b, &sources[0], &f->addr, s->proto, f->port);
		uint32_t n_choices = 1;

		p.saddr = endpoints[i].addr;
		if (!(endpoints[i].flags & ENDPOINT_HERE) ||
		    !(endpoints[i].flags & (1 << d->pool)) || !may_enter(s, f, &p.saddr))
			continue;
		for (p.choice = 0; p.choice < n_choices; p.choice++) {
			struct walk w = ruleset_walk(rs, &p);
			bool is_itself = addr_equal(&w.daddr, &p.saddr);

			b->n_walks++;
			n_choices = w.n_choices;
			b->n_hairpins += is_itself;
			if (w.is_masqueraded != (is_itself || d->masquerade))
				fail_at(s, f, &p, "hairpin: wrongly masqueraded or not");
		}
	}
}

/* At its address, or at each of the node's. */
static void check_places(struct bench *b, const struct ruleset *rs,
			 const struct service *s, const struct frontend *f)
{
	bool is_everywhere = frontend_is_everywhere(f);
	size_t n = is_everywhere ? b->env.n_node_addresses[s->family] : 1;
	struct frontend at = *f;

	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		if (is_everywhere)
			at.addr = b->env.node_addresses[s->family][i];
		b->n_frontends++;
		check_frontend(b, rs, s, &at);
		check_hairpins(b, rs, s, &at);
	}
}

static bool is_cluster_ip(const struct bench *b, const struct addr *a)
{
	const struct service *s;

	for (size_t i = 0; (s = state_next(b->state, &i));)
		for (uint32_t k = 0; k < s->n_frontends; k++)
			if (s->frontends[k].kind == FRONTEND_CLUSTER_IP &&
			    addr_equal(&s->frontends[k].addr, a))
				return true;
	return false;
}

static bool is_in_service_cidr(const struct bench *b, const struct addr *a)
{
	for (uint32_t i = 0; i < b->env.n_service_cidrs; i++)
		if (cidr_family(&b->env.service_cidrs[i]) == addr_family(a) &&
		    cidr_contains(&b->env.service_cidrs[i], a))
			return true;
	return false;
}

/* Every address and port of the pools that is not a frontend now. */
static void check_nobodys(struct bench *b, const struct ruleset *rs, enum family family)
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
		if (state_find_frontend(b->state, &a, proto, 81, &f))
			continue;
		p = make_packet(b, &sources[i % N_ELEMENTS(sources)], &a, proto, 81);
		b->n_gone++;
		check_not_sent(b, rs, NULL, NULL, &p,
			       is_cluster_ip(b, &a)	   ? FATE_REFUSED
			       : is_in_service_cidr(b, &a) ? FATE_DROPPED
							   : FATE_UNTOUCHED);
	}
}

static void check_kernel(struct bench *b)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct ruleset *rs = ruleset_read((enum family)family, "sluice");
		const struct service *s;

		b->n_tables++;
		b->n_elements += ruleset_n_elements(rs);
		if (ruleset_n_rules(rs) > b->max_rules)
			b->max_rules = ruleset_n_rules(rs);
		for (size_t i = 0; (s = state_next(b->state, &i));) {
			if (s->family != family)
				continue;
			for (uint32_t k = 0; k < s->n_frontends; k++)
				check_places(b, rs, s, &s->frontends[k]);
		}
		check_nobodys(b, rs, (enum family)family);
		ruleset_free(rs);
	}
}

static void check_no_difference(struct bench *b)
{
	struct state_taken taken = state_take(b->state, true);
	struct changeset cs = {.full = true,
			       .env = &b->env,
			       .changes = taken.changes,
			       .n = taken.n};
	_cleanup_(buf_fini) struct buf lines = BUF_INIT;

	if (sample_diff(b->sink, &cs, &lines))
		fail_msg("the sink itself sees a difference: %s", buf_string(&lines));
	state_taken_fini(&taken);
}

static void apply(struct bench *b, bool full)
{
	struct state_taken taken;
	struct changeset cs;
	struct state_conflict *conflicts;
	size_t n_conflicts;

	for (enum family family = 0; family < FAMILY_N; family++)
		state_set_node_addresses(b->state, family, b->env.node_addresses[family],
					 b->env.n_node_addresses[family]);
	(void)plan_dirty(b->random.cluster, &b->options, b->state, SIZE_MAX);
	b->env.n_service_cidrs =
		(uint32_t)cluster_service_cidrs(b->random.cluster, b->env.service_cidrs,
						ENVIRONMENT_MAX_SERVICE_CIDRS);
	taken = state_take(b->state, full);
	cs = (struct changeset){.full = taken.full,
				.env = &b->env,
				.changes = taken.changes,
				.n = taken.n,
				.node_changes = taken.node_changes,
				.n_node_changes = taken.n_node_changes};
	b->n_node_changes += taken.n_node_changes;
	assert_int_equal(sink_apply(b->sink, &cs), 0);
	state_taken_fini(&taken);
	conflicts = state_conflicts(b->state, &n_conflicts);
	b->n_conflicts += n_conflicts;
	free(conflicts);
	check_kernel(b);
}

static void list_node_addresses(struct bench *b)
{
	for (enum family family = 0; family < FAMILY_N; family++) {
		size_t n;

		free(b->node_addresses[family]);
		b->node_addresses[family] =
			plan_nodeport_addresses(&b->options, NULL, family, &n);
		b->env.node_addresses[family] = n > 1 ? b->node_addresses[family] : NULL;
		b->env.n_node_addresses[family] = n > 1 ? n : 0;
	}
}

/* The first four stay: there is more than one address before and after, or not. */
static void change_hosts(struct bench *b)
{
	b->options.n_host_addresses = 4 + random_below(&b->random, N_HOSTS - 3);
	list_node_addresses(b);
}

/* Those of both networks, of one in one family only, or the primary ones. */
static void choose_node_addresses(struct bench *b)
{
	static const char *const lists[][2] = {{"all"},
					       {"192.168.0.0/16", "fd00:192:168::/48"},
					       {"primary"}};
	const char *const *list = lists[random_below(&b->random, N_ELEMENTS(lists))];
	char *error = NULL;

	nodeport_addresses_fini(&b->nodeports);
	assert_int_equal(nodeport_addresses_parse(list, list[1] ? 2 : 1, &b->nodeports,
						  &error),
			 0);
	list_node_addresses(b);
	for (enum family family = 0; family < FAMILY_N; family++)
		b->n_everywhere += b->env.n_node_addresses[family] > 1;
}

/* The environment comes from options that change from cluster to cluster. */
static void choose_options(struct bench *b)
{
	bool detector = random_below(&b->random, 100) < 75;
	bool masquerade_all = random_below(&b->random, 100) < 20;

	b->env = (struct environment){
		.detector = detector ? POD_DETECTOR_CIDR : POD_DETECTOR_NONE,
		.has_pod_cidr = {detector, detector},
		.masquerade_all = masquerade_all,
		.masquerade_mark = 0x4000,
		.enabled = {true, true},
	};
	assert_int_equal(cidr_parse("10.180.0.0/16", &b->env.pod_cidr[FAMILY_IPV4]), 0);
	assert_int_equal(cidr_parse("fd00:10:180::/48", &b->env.pod_cidr[FAMILY_IPV6]),
			 0);
	b->options = (struct plan_options){
		.node_name = RANDOM_NODE_NAME,
		.detector = b->env.detector,
		.has_detector = {detector, detector},
		.masquerade_all = masquerade_all,
		.use_node_hints = true,
		.allow_external_ips = true,
		.nodeports = &b->nodeports,
		.host_addresses = b->host,
		.n_host_addresses = N_ELEMENTS(b->host),
		.node_ip = {b->host[0], b->host[1]},
	};
	choose_node_addresses(b);
	cluster_mark_all(b->random.cluster);
}

static void run_cluster(struct bench *b, unsigned number)
{
	random_cluster_fill(&b->random);
	choose_options(b);
	if (number % 10 == 9)
		assert_int_equal(nft_cleanup(), 0);
	apply(b, true); /* new options come with a full change set */
	for (int i = 0; i < N_CHANGES; i++) {
		random_cluster_change(&b->random);
		change_hosts(b);
		apply(b, false);
	}
	if (number % 5 == 0)
		check_no_difference(b);
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void the_kernel_does_what_was_planned(void **state)
{
	/* the second four come and go; some are external addresses of Services, too */
	static const char *const host[N_HOSTS] = {
		"192.168.0.2", "fd00:192:168::2", "192.168.1.2",  "fd00:192:169::2",
		"203.0.114.3", "fd00:99::2",	  "192.168.99.2", "2001:db8:114::3",
	};
	uint64_t n = number_from_environment("SLUICE_TEST_CLUSTERS", N_CLUSTERS);
	struct bench b = {.random.seed =
				  number_from_environment("SLUICE_TEST_SEED", 20260)};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(host); i++)
		assert_int_equal(addr_parse(host[i], &b.host[i]), 0);
	b.random.cluster = cluster_new(RANDOM_NODE_NAME);
	b.state = state_new();
	assert_int_equal(nft_sink_new(&b.sink), 0);
	for (unsigned i = 0; i < n; i++)
		run_cluster(&b, i);

	print_message("%lu clusters, %lu tables read, %lu elements, at most %u rules; "
		      "%lu frontends x "
		      "sources = %lu decisions (%lu balanced, %lu refused, %lu dropped, "
		      "%lu not "
		      "allowed in; %lu masqueraded), %lu hairpins, %lu addresses of "
		      "nobody, %lu "
		      "conflicts, %lu packets walked: no difference\n",
		      n, b.n_tables, b.n_elements, b.max_rules, b.n_frontends,
		      b.n_decisions, b.n_actions[ACTION_BALANCE],
		      b.n_actions[ACTION_REJECT], b.n_actions[ACTION_DROP], b.n_limited,
		      b.n_masqueraded, b.n_hairpins, b.n_gone, b.n_conflicts, b.n_walks);
	/* a generator that forgot a branch would prove nothing about it */
	assert_true(b.n_actions[ACTION_REJECT] && b.n_actions[ACTION_DROP] &&
		    b.n_limited && b.n_hairpins && b.n_conflicts && b.n_gone &&
		    b.n_everywhere && b.n_node_changes);
	sink_close(b.sink);
	state_free(b.state);
	cluster_free(b.random.cluster);
	nodeport_addresses_fini(&b.nodeports);
	for (enum family family = 0; family < FAMILY_N; family++)
		free(b.node_addresses[family]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_does_what_was_planned),
	};

	if (unshare(CLONE_NEWNET) == -1) {
		(void)fprintf(stderr, "skipped: %s\n", strerror(errno));
		return TEST_SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
