/*
 * A packet's way through the rules: expressions, statements, chains, hooks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "tests/kernel/ruleset.h"
#include "tests/kernel/ruleset_parts.h"
#include "tests/test.h"

#define MAX_DEPTH  16
#define MAX_CHAINS 8 /* base chains of one hook */

/* The state of a packet on its way. */
struct state {
	const struct ruleset *rs;
	const struct packet *p;
	struct walk walk;
	struct addr daddr;
	uint16_t dport;
	bool is_dnat;
	char priority[32]; /* as nft prints it */
};

enum verdict {
	VERDICT_NEXT,	/* the next rule */
	VERDICT_BREAK,	/* a condition did not hold: the next rule, too */
	VERDICT_RETURN, /* from this chain */
	VERDICT_ACCEPT, /* the next base chain */
	VERDICT_STOP,	/* its fate is sealed */
};

static enum verdict walk_chain(struct state *st, const char *name, int depth);

/* "@name" or an anonymous {"set": […]}. */
static bool is_member(const struct state *st, const json_t *set, const char *value)
{
	const json_t *items = json_object_get(set, "set"), *item;
	size_t i;

	if (json_is_string(set) && json_string_value(set)[0] == '@')
		return ruleset_find_element(ruleset_find_set(st->rs,
							     json_string_value(set) + 1),
					    value);
	if (!items) {
		char text[RULESET_VALUE_LEN] = "";

		ruleset_add_constant(text, set);
		return ruleset_parts_match(text, value);
	}
	json_array_foreach(items, i, item)
	{
		char text[RULESET_VALUE_LEN] = "";

		ruleset_add_constant(text, item);
		if (ruleset_parts_match(text, value))
			return true;
	}
	return false;
}

static void add_number(char *buf, uint64_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lu", (unsigned long)n);
	ruleset_join(buf, text);
}

static void add_addr(char *buf, const struct addr *a)
{
	char text[ADDR_TEXT_LEN];

	ruleset_join(buf, addr_format(a, text));
}

static void add_proto(char *buf, uint8_t proto)
{
	ruleset_join(buf, proto == IPPROTO_TCP	 ? "tcp"
			  : proto == IPPROTO_UDP ? "udp"
						 : "sctp");
}

static void unknown(const json_t *expr)
{
	_cleanup_(freep) char *dump = json_dumps(expr, JSON_ENCODE_ANY);

	fail_msg("the evaluator does not know this expression: %s", dump);
}

static void add_payload(struct state *st, char *buf, const json_t *payload)
{
	const char *field = json_string_value(json_object_get(payload, "field"));

	if (field && !strcmp(field, "saddr"))
		add_addr(buf, &st->p->saddr);
	else if (field && !strcmp(field, "daddr"))
		add_addr(buf, &st->daddr);
	else if (field && !strcmp(field, "dport"))
		add_number(buf, st->dport);
	else
		unknown(payload);
}

static void add_meta(struct state *st, char *buf, const json_t *meta)
{
	const char *key = json_string_value(json_object_get(meta, "key"));

	if (!strcmp(key, "l4proto"))
		add_proto(buf, st->p->proto);
	else if (!strcmp(key, "mark"))
		add_number(buf, st->walk.mark);
	else if (!strcmp(key, "priority"))
		ruleset_join(buf, st->priority);
	else if (!strcmp(key, "iifname"))
		ruleset_join(buf, st->p->iif ? st->p->iif : "-");
	else
		unknown(meta);
}

static void add_ct(struct state *st, char *buf, const json_t *ct)
{
	const char *key = json_string_value(json_object_get(ct, "key"));
	const char *direction = json_string_value(json_object_get(ct, "dir"));
	bool is_reply = direction && !strcmp(direction, "reply");

	if (!strcmp(key, "state"))
		ruleset_join(buf, "new");
	else if (!strcmp(key, "status"))
		ruleset_join(buf, st->is_dnat ? "dnat" : "none");
	else if (!is_reply && strstr(key, "daddr"))
		add_addr(buf, &st->p->daddr);
	else if (!is_reply && !strcmp(key, "proto-dst"))
		add_number(buf, st->p->dport);
	else if (is_reply && strstr(key, "saddr"))
		add_addr(buf, &st->daddr); /* where it was sent is who will answer */
	else if (is_reply && !strcmp(key, "proto-src"))
		add_number(buf, st->dport);
	else
		unknown(ct);
}

static void add_value(struct state *st, char *buf, const json_t *expr);
static uint64_t number(struct state *st, const json_t *expr);

static void add_numgen(struct state *st, char *buf, const json_t *numgen)
{
	uint32_t mod = (uint32_t)json_integer_value(json_object_get(numgen, "mod"));
	uint32_t offset = (uint32_t)json_integer_value(json_object_get(numgen, "offset"));

	assert_true(mod > 0);
	st->walk.n_choices = mod;
	add_number(buf, offset + st->p->choice % mod);
}

/* Not the kernel's number, but as good: equal for equal input, and in no map of ours. */
static void add_hash(struct state *st, char *buf, const json_t *hash)
{
	char text[RULESET_VALUE_LEN] = "", value[RULESET_VALUE_LEN + 32];

	add_value(st, text, json_object_get(hash, "expr"));
	(void)snprintf(value, sizeof(value), "hash:%lld:%s",
		       (long long)json_integer_value(json_object_get(hash, "seed")),
		       text);
	ruleset_join(buf, value);
}

/* The type of the source, or whether the packet goes back where it came from. */
static void add_fib(struct state *st, char *buf, const json_t *fib)
{
	const char *result = json_string_value(json_object_get(fib, "result"));

	if (!strcmp(result, "type"))
		ruleset_join(buf, st->p->iif ? "unicast" : "local");
	else if (!strcmp(result, "oif"))
		ruleset_join(buf, st->p->is_routed_back ? "true" : "false");
	else
		unknown(fib);
}

/* "daddr & 0.0.0.0", with which node ports are looked up. */
static bool add_unspecified(char *buf, const json_t *expr)
{
	const char *mask =
		json_string_value(json_array_get(json_object_get(expr, "&"), 1));
	struct addr a;

	if (!mask || addr_parse(mask, &a) || !addr_is_unspecified(&a))
		return false;
	add_addr(buf, &a);
	return true;
}

static void add_value(struct state *st, char *buf, const json_t *expr)
{
	const json_t *inner, *item;
	size_t i;

	if ((inner = json_object_get(expr, "concat"))) {
		json_array_foreach(inner, i, item) add_value(st, buf, item);
	} else if ((inner = json_object_get(expr, "payload"))) {
		add_payload(st, buf, inner);
	} else if ((inner = json_object_get(expr, "meta"))) {
		add_meta(st, buf, inner);
	} else if ((inner = json_object_get(expr, "ct"))) {
		add_ct(st, buf, inner);
	} else if ((inner = json_object_get(expr, "numgen"))) {
		add_numgen(st, buf, inner);
	} else if ((inner = json_object_get(expr, "jhash"))) {
		add_hash(st, buf, inner);
	} else if ((inner = json_object_get(expr, "fib"))) {
		add_fib(st, buf, inner);
	} else if (add_unspecified(buf, expr)) {
		return;
	} else if (json_object_get(expr, "&") || json_object_get(expr, "|") ||
		   json_object_get(expr, "^")) {
		add_number(buf, number(st, expr));
	} else {
		ruleset_add_constant(buf, expr);
	}
}

static uint64_t number(struct state *st, const json_t *expr)
{
	static const char operators[] = "&|^";
	char text[RULESET_VALUE_LEN] = "";

	for (const char *op = operators; *op; op++) {
		const char name[2] = {*op, '\0'};
		const json_t *args = json_object_get(expr, name);
		uint64_t a, b;

		if (!args)
			continue;
		a = number(st, json_array_get(args, 0));
		b = number(st, json_array_get(args, 1));
		return *op == '&' ? (a & b) : *op == '|' ? (a | b) : (a ^ b);
	}
	add_value(st, text, expr);
	return strtoull(text, NULL, 0);
}

static bool match_holds(struct state *st, const json_t *match)
{
	const char *op = json_string_value(json_object_get(match, "op"));
	const json_t *right = json_object_get(match, "right");
	char value[RULESET_VALUE_LEN] = "", text[RULESET_VALUE_LEN] = "";
	size_t len;
	bool holds;

	add_value(st, value, json_object_get(match, "left"));
	if (json_is_string(right)) {
		const char *wanted = json_string_value(right);

		len = strlen(wanted);
		if (wanted[0] != '@' && len && wanted[len - 1] == '*')
			holds = !strncmp(wanted, value, len - 1);
		else
			holds = is_member(st, right, value);
	} else if (json_is_boolean(right)) {
		holds = !strcmp(json_is_true(right) ? "true" : "false", value);
	} else if (json_is_integer(right)) {
		ruleset_add_constant(text, right);
		holds = !strcmp(text, value);
	} else {
		holds = is_member(st, right, value);
	}
	if (!strcmp(op, "==") || !strcmp(op, "in"))
		return holds;
	if (strcmp(op, "!=") != 0)
		unknown(match);
	return !holds;
}

static const json_t *look_up(struct state *st, const json_t *map)
{
	char key[RULESET_VALUE_LEN] = "";
	const char *name = json_string_value(json_object_get(map, "data"));
	const struct ruleset_element *e;

	if (!name || name[0] != '@')
		unknown(map);
	add_value(st, key, json_object_get(map, "key"));
	e = ruleset_find_element(ruleset_find_set(st->rs, name + 1), key);
	return e ? e->data : NULL;
}

/* Address and port come out of one map, or, where that is too much for one, of two. */
static enum verdict do_dnat(struct state *st, const json_t *dnat)
{
	const json_t *map = json_object_get(json_object_get(dnat, "addr"), "map");
	const json_t *port_map = json_object_get(json_object_get(dnat, "port"), "map");
	const json_t *addr, *port;

	if (!map)
		unknown(dnat);
	addr = look_up(st, map);
	port = port_map ? look_up(st, port_map)
			: json_array_get(json_object_get(addr, "concat"), 1);
	if (!addr || !port)
		return VERDICT_BREAK;
	if (!port_map)
		addr = json_array_get(json_object_get(addr, "concat"), 0);
	assert_int_equal(addr_parse(json_string_value(addr), &st->daddr), 0);
	st->dport = (uint16_t)json_integer_value(port);
	st->is_dnat = true;
	return VERDICT_ACCEPT;
}

static enum verdict end_with(struct state *st, enum fate fate)
{
	st->walk.fate = fate;
	return VERDICT_STOP;
}

static enum verdict do_verdict(struct state *st, const json_t *v, int depth)
{
	const json_t *inner;

	if ((inner = json_object_get(v, "goto"))) {
		enum verdict got =
			walk_chain(st,
				   json_string_value(json_object_get(inner, "target")),
				   depth + 1);

		return got == VERDICT_NEXT ? VERDICT_RETURN : got;
	}
	if ((inner = json_object_get(v, "jump")))
		return walk_chain(st, json_string_value(json_object_get(inner, "target")),
				  depth + 1);
	if (json_object_get(v, "drop"))
		return end_with(st, FATE_DROPPED);
	if (json_object_get(v, "accept"))
		return VERDICT_ACCEPT;
	if (json_object_get(v, "return"))
		return VERDICT_RETURN;
	unknown(v);
	return VERDICT_STOP;
}

static enum verdict do_reject(struct state *st, const json_t *reject)
{
	const char *type = json_string_value(json_object_get(reject, "type"));
	bool is_reset = type && !strcmp(type, "tcp reset");

	if (is_reset && st->p->proto != IPPROTO_TCP)
		return VERDICT_BREAK; /* nft leaves the implied "meta l4proto tcp" out */
	st->walk.is_refused_by_reset = is_reset;
	return end_with(st, FATE_REFUSED);
}

static enum verdict set_priority(struct state *st, const json_t *value)
{
	const json_t *map = json_object_get(value, "map");

	if (map)
		value = look_up(st, map);
	if (!value)
		return VERDICT_BREAK;
	assert_true(json_is_string(value));
	(void)snprintf(st->priority, sizeof(st->priority), "%s",
		       json_string_value(value));
	return VERDICT_NEXT;
}

static enum verdict do_statement(struct state *st, const json_t *s, int depth)
{
	const json_t *inner, *data;

	if (json_is_string(s)) /* updates of a map, which JSON has no words for */
		return VERDICT_NEXT;
	if ((inner = json_object_get(s, "match")))
		return match_holds(st, inner) ? VERDICT_NEXT : VERDICT_BREAK;
	if ((inner = json_object_get(s, "vmap"))) {
		data = look_up(st, inner);
		return data ? do_verdict(st, data, depth) : VERDICT_BREAK;
	}
	if ((inner = json_object_get(s, "dnat")))
		return do_dnat(st, inner);
	if ((inner = json_object_get(s, "reject")))
		return do_reject(st, inner);
	if (json_object_get(s, "masquerade")) {
		st->walk.is_masqueraded = true;
		return VERDICT_ACCEPT;
	}
	if ((inner = json_object_get(s, "mangle"))) {
		const json_t *meta =
			json_object_get(json_object_get(inner, "key"), "meta");

		if (!strcmp(json_string_value(json_object_get(meta, "key")), "priority"))
			return set_priority(st, json_object_get(inner, "value"));
		st->walk.mark = (uint32_t)number(st, json_object_get(inner, "value"));
		return VERDICT_NEXT;
	}
	if (json_object_get(s, "counter"))
		return VERDICT_NEXT;
	return do_verdict(st, s, depth);
}

static enum verdict walk_rule(struct state *st, const json_t *rule, int depth)
{
	const json_t *statement;
	size_t i;

	json_array_foreach(rule, i, statement)
	{
		enum verdict v = do_statement(st, statement, depth);

		if (v != VERDICT_NEXT)
			return v;
	}
	return VERDICT_NEXT;
}

/* A chain that ends, or returns, continues in the caller: VERDICT_NEXT. */
static enum verdict walk_chain(struct state *st, const char *name, int depth)
{
	const struct ruleset_chain *c = ruleset_find_chain(st->rs, name);

	assert_true(depth < MAX_DEPTH);
	for (size_t i = 0; i < c->n; i++) {
		enum verdict v = walk_rule(st, c->rules[i], depth);

		if (v == VERDICT_RETURN)
			return VERDICT_NEXT;
		if (v == VERDICT_ACCEPT || v == VERDICT_STOP)
			return v;
	}
	return VERDICT_NEXT;
}

static int compare_chains(const void *a, const void *b)
{
	return (*(const struct ruleset_chain *const *)a)->priority -
	       (*(const struct ruleset_chain *const *)b)->priority;
}

/* False when it goes no further. */
static bool pass_hook(struct state *st, const char *hook)
{
	const struct ruleset_chain *chains[MAX_CHAINS];
	size_t n = 0;

	for (size_t i = 0; i < st->rs->n_chains; i++) {
		const struct ruleset_chain *c = &st->rs->chains[i];

		if (!c->hook || strcmp(c->hook, hook) != 0)
			continue;
		assert_true(n < MAX_CHAINS);
		chains[n++] = c;
	}
	if (n)
		qsort(chains, n, sizeof(chains[0]), compare_chains);
	for (size_t i = 0; i < n; i++)
		if (walk_chain(st, chains[i]->name, 0) == VERDICT_STOP)
			return false;
	return true;
}

/* Endpoints are never on the host itself here: translated packets are forwarded. */
static bool pass_all_hooks(struct state *st)
{
	bool is_to_host;

	if (!pass_hook(st, st->p->iif ? "prerouting" : "output"))
		return false;
	is_to_host = st->p->is_to_host && !st->is_dnat;
	if (!st->p->iif)
		return pass_hook(st, "postrouting") &&
		       (!is_to_host || pass_hook(st, "input"));
	if (is_to_host)
		return pass_hook(st, "input");
	return pass_hook(st, "forward") && pass_hook(st, "postrouting");
}

struct walk ruleset_walk(const struct ruleset *rs, const struct packet *p)
{
	struct state st = {
		.rs = rs,
		.p = p,
		.walk = {.n_choices = 1},
		.daddr = p->daddr,
		.dport = p->dport,
		.priority = "none",
	};

	if (pass_all_hooks(&st) && st.is_dnat) {
		st.walk.fate = FATE_SENT;
		st.walk.daddr = st.daddr;
		st.walk.dport = st.dport;
	}
	return st.walk;
}
