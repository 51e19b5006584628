/*
 * Rules as nft writes them.
 */
#include "core/cleanup.h"
#include "rules/nft/nft_rules.h"

static const char *proto_text(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "sctp";
}

static void print_field(const struct nft_rule *rule, enum nft_field field,
			struct buf *out)
{
	const struct nft_field_info *info = nft_field(field);

	if (info->kind == FIELD_KIND_NUMGEN) {
		buf_printf(out, "numgen random mod %u", rule->chain.number);
		if (rule->chain.kind == CHAIN_PICK_LOCAL)
			buf_printf(out, " offset %u", NFT_LOCAL_SLOT);
	} else if (info->kind == FIELD_KIND_HASH) {
		buf_printf(out, "jhash %s mod %u seed 0x%x",
			   nft_field(info->key[rule->family])->text[rule->family],
			   NFT_HASH_MODULUS, info->arg);
	} else {
		buf_add_string(out, info->text[rule->family]);
	}
}

static void print_shape(const struct nft_rule *rule, enum nft_shape shape,
			struct buf *out)
{
	const uint8_t *fields = nft_shape_fields(shape, rule->family);

	for (unsigned i = 0; i < NFT_SHAPE_MAX && fields[i]; i++) {
		buf_add_string(out, i ? " . " : "");
		print_field(rule, fields[i], out);
	}
}

static void print_lookup(const struct nft_rule *rule, const struct nft_stmt *s,
			 const char *between, struct buf *out)
{
	print_shape(rule, s->shape, out);
	buf_printf(out, "%s@%s", between, nft_set_info(s->set)->name);
}

static void print_dnat(const struct nft_rule *rule, const struct nft_stmt *s,
		       struct buf *out)
{
	buf_printf(out, "dnat %s to ", nft_family_name(rule->family));
	print_lookup(rule, s, " map ", out);
}

static void print_load_number(const struct nft_rule *rule, const struct nft_stmt *s,
			      struct buf *out)
{
	buf_add_string(out, "meta priority set ");
	print_lookup(rule, s, " map ", out);
}

static void print_update(const struct nft_rule *rule, const struct nft_stmt *s,
			 struct buf *out)
{
	buf_printf(out, "%s @%s { ", s->op == STMT_LEARN ? "update" : "delete",
		   nft_set_info(s->set)->name);
	print_shape(rule, s->shape, out);
	if (s->op == STMT_LEARN)
		buf_printf(out, " timeout %us", rule->chain.number);
	buf_add_string(out, " : ");
	print_shape(rule, SHAPE_NUMBER, out);
	buf_add_string(out, " }");
}

static void print_pod(const struct nft_rule *rule, const char *op, struct buf *out)
{
	const struct environment *env = rule->env;
	char text[CIDR_TEXT_LEN];

	if (env->detector == POD_DETECTOR_CIDR)
		buf_printf(out, "%s %s%s", nft_field(FIELD_SADDR)->text[rule->family], op,
			   cidr_format(&env->pod_cidr[rule->family], text));
	else
		buf_printf(out, "iifname %s\"%s%s\"", op, env->ifname,
			   env->detector == POD_DETECTOR_PREFIX ? "*" : "");
}

static void print_service_cidr(const struct nft_rule *rule, struct buf *out)
{
	char text[CIDR_TEXT_LEN];

	buf_printf(out, "%s %s", nft_field(FIELD_DADDR)->text[rule->family],
		   cidr_format(rule->cidr, text));
}

static void print_chain(const char *verb, struct nft_chain chain, struct buf *out)
{
	char name[NFT_CHAIN_NAME_LEN];

	buf_printf(out, "%s %s", verb, nft_chain_name(chain, name));
}

static void print_next(const struct nft_rule *rule, struct buf *out)
{
	struct nft_chain next = {0};

	(void)nft_chain_needs(rule->chain, &next); /* only such chains have this */
	print_chain("goto", next, out);
}

static void print_stmt(const struct nft_rule *rule, const struct nft_stmt *s,
		       struct buf *out)
{
	uint32_t mark = rule->env->masquerade_mark;

	switch ((enum nft_stmt_op)s->op) {
	case STMT_END:
		return;
	case STMT_PROTO:
		return buf_printf(out, "meta l4proto %s", proto_text(rule->proto));
	case STMT_IS_NEW:
		return buf_add_string(out, "ct state new");
	case STMT_IS_TRANSLATED:
		return buf_add_string(out, "ct status dnat");
	case STMT_IS_POD:
		return print_pod(rule, "", out);
	case STMT_IS_NO_POD:
		return print_pod(rule, "!= ", out);
	case STMT_IS_HERE:
		return buf_add_string(out, "fib saddr type local");
	case STMT_IS_ROUTED_BACK:
		return buf_add_string(out, "fib daddr . iif oif exists");
	case STMT_IS_UNMARKED:
		return buf_printf(out, "meta mark & 0x%08x == 0", mark);
	case STMT_IN_SERVICE_CIDR:
		return print_service_cidr(rule, out);
	case STMT_IN:
		return print_lookup(rule, s, " ", out);
	case STMT_NOT_IN:
		return print_lookup(rule, s, " != ", out);
	case STMT_VMAP:
		return print_lookup(rule, s, " vmap ", out);
	case STMT_DNAT:
		return print_dnat(rule, s, out);
	case STMT_LOAD_NUMBER:
		return print_load_number(rule, s, out);
	case STMT_CLEAR_NUMBER:
		return buf_add_string(out, "meta priority set none");
	case STMT_LEARN:
	case STMT_FORGET:
		return print_update(rule, s, out);
	case STMT_MARK:
		return buf_printf(out, "meta mark set meta mark | 0x%08x", mark);
	case STMT_UNMARK:
		return buf_printf(out, "meta mark set meta mark ^ 0x%08x", mark);
	case STMT_JUMP:
		return print_chain("jump", (struct nft_chain){.kind = s->chain}, out);
	case STMT_GOTO:
		return print_chain("goto", (struct nft_chain){.kind = s->chain}, out);
	case STMT_GOTO_NEXT:
		return print_next(rule, out);
	case STMT_MASQUERADE:
		return buf_add_string(out, "masquerade fully-random");
	case STMT_REJECT:
		return buf_add_string(out, "reject");
	case STMT_RESET:
		return buf_add_string(out, "meta l4proto tcp reject with tcp reset");
	case STMT_DROP:
		return buf_add_string(out, "drop");
	case STMT_RETURN:
		return buf_add_string(out, "return");
	}
}

void nft_rule_print(const struct nft_rule *rule, struct buf *out)
{
	for (const struct nft_stmt *s = rule->stmts; s->op; s++) {
		buf_add_string(out, s == rule->stmts ? "" : " ");
		print_stmt(rule, s, out);
	}
}
