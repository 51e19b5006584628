/*
 * Sets whose key has a part without a type name (a number) carry how nft
 * should write it, as "typeof" in their user data: without it a listing of
 * them would not load again.
 */
#include "rules/nft/nft_schema.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "core/cleanup.h"
#include "rules/nft/nft_read.h"
#include "rules/nft/nft_rules.h"

/* nft's numbers in user data */
enum { EXPR_CONCAT = 13, EXPR_PAYLOAD = 7, EXPR_NUMGEN = 23 };
enum { TYPEOF_PAYLOAD_PROTO = 0, TYPEOF_PAYLOAD_TEMPLATE = 1 };
enum { TYPEOF_NUMGEN_TYPE = 0, TYPEOF_NUMGEN_MODULUS = 1, TYPEOF_NUMGEN_OFFSET = 2 };
enum { HOST_ENDIAN = 1 };
#define VERDICT_TYPE 0xffffff00u

/* libnftnl answers NULL only when out of memory, and then we stop as xmalloc() does. */
static void *check(void *p)
{
	if (!p)
		abort();
	return p;
}

static struct nft_label label_of(enum nft_verb verb, enum nft_what what,
				 enum family family)
{
	return (struct nft_label){
		.verb = (uint8_t)verb,
		.what = (uint8_t)what,
		.family = (uint8_t)family,
	};
}

static void put_table(struct nft_tx *tx, enum nft_verb verb, enum family family)
{
	struct nft_label label = label_of(verb, WHAT_TABLE, family);
	bool is_add = verb == VERB_ADD;
	struct nlmsghdr *message =
		nft_tx_begin(tx, PART_STRUCTURE,
			     is_add ? NFT_MSG_NEWTABLE : NFT_MSG_DELTABLE,
			     is_add ? NLM_F_CREATE : 0, &label);

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, NFT_TABLE_NAME);
	if (is_add) /* also ends the dormant state of a table */
		mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, 0);
	nft_tx_end(tx, PART_STRUCTURE, message);
}

void nft_schema_add_table(struct nft_tx *tx, enum family family)
{
	put_table(tx, VERB_ADD, family);
}

void nft_schema_delete_table(struct nft_tx *tx, enum family family)
{
	put_table(tx, VERB_DELETE, family);
}

static void put_numgen(struct nftnl_udata_buf *buf, enum nft_field field)
{
	nftnl_udata_put_u32(buf, TYPEOF_NUMGEN_TYPE, NFT_NG_RANDOM);
	nftnl_udata_put_u32(buf, TYPEOF_NUMGEN_MODULUS,
			    field == FIELD_SLOT ? NFT_SLOT_MODULUS : NFT_HASH_MODULUS);
	nftnl_udata_put_u32(buf, TYPEOF_NUMGEN_OFFSET, 0);
}

static void put_typeof_field(struct nftnl_udata_buf *buf, enum nft_field field,
			     enum family family)
{
	const struct nft_field_info *info = nft_field(field);
	struct nftnl_udata *nest;

	nftnl_udata_put_u32(buf, NFTNL_UDATA_SET_TYPEOF_EXPR, info->typeof_expr);
	nest = nftnl_udata_nest_start(buf, NFTNL_UDATA_SET_TYPEOF_DATA);
	if (info->typeof_expr == EXPR_NUMGEN) {
		put_numgen(buf, field);
	} else if (info->typeof_expr == EXPR_PAYLOAD) {
		nftnl_udata_put_u32(buf, TYPEOF_PAYLOAD_PROTO,
				    info->typeof_proto[family]);
		nftnl_udata_put_u32(buf, TYPEOF_PAYLOAD_TEMPLATE,
				    info->typeof_template[family]);
	} else { /* meta: its key alone */
		nftnl_udata_put_u32(buf, 0, info->typeof_template[family]);
	}
	nftnl_udata_nest_end(buf, nest);
}

static void put_typeof_concat(struct nftnl_udata_buf *buf, const uint8_t *fields,
			      enum family family)
{
	struct nftnl_udata *data, *item;

	nftnl_udata_put_u32(buf, NFTNL_UDATA_SET_TYPEOF_EXPR, EXPR_CONCAT);
	data = nftnl_udata_nest_start(buf, NFTNL_UDATA_SET_TYPEOF_DATA);
	for (unsigned i = 0; i < NFT_SHAPE_MAX && fields[i]; i++) {
		item = nftnl_udata_nest_start(buf, (uint8_t)i);
		put_typeof_field(buf, fields[i], family);
		nftnl_udata_nest_end(buf, item);
	}
	nftnl_udata_nest_end(buf, data);
}

static void put_typeof(struct nftnl_udata_buf *buf, uint8_t type, enum nft_shape shape,
		       enum family family)
{
	const uint8_t *fields = nft_shape_fields(shape, family);
	struct nftnl_udata *nest = nftnl_udata_nest_start(buf, type);

	if (fields[1])
		put_typeof_concat(buf, fields, family);
	else
		put_typeof_field(buf, fields[0], family);
	nftnl_udata_nest_end(buf, nest);
}

static void set_typeof(struct nftnl_set *s, const struct nft_set_info *info,
		       enum family family)
{
	bool is_named = nft_shape_is_named(info->key, family);
	struct nftnl_udata_buf *buf;

	if (is_named && info->key != SHAPE_NUMBER && info->data != SHAPE_NUMBER)
		return;
	buf = check(nftnl_udata_buf_alloc(1024));
	if (info->key == SHAPE_NUMBER)
		nftnl_udata_put_u32(buf, NFTNL_UDATA_SET_KEYBYTEORDER, HOST_ENDIAN);
	if (info->data == SHAPE_NUMBER)
		nftnl_udata_put_u32(buf, NFTNL_UDATA_SET_DATABYTEORDER, HOST_ENDIAN);
	if (!is_named)
		put_typeof(buf, NFTNL_UDATA_SET_KEY_TYPEOF, info->key, family);
	if (!is_named && info->data)
		put_typeof(buf, NFTNL_UDATA_SET_DATA_TYPEOF, info->data, family);
	nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(buf),
			   nftnl_udata_buf_len(buf));
	nftnl_udata_buf_free(buf);
}

static void set_data(struct nftnl_set *s, const struct nft_set_info *info,
		     enum family family)
{
	if (info->flags & SET_HAS_VERDICTS) {
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, VERDICT_TYPE);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, 16);
	} else if (info->data) {
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE,
				  nft_shape_type(info->data, family));
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN,
				  (uint32_t)nft_shape_len(info->data, family));
	}
}

/* The kernel must know where each part of a range's key ends. */
static void set_concat(struct nftnl_set *s, const struct nft_set_info *info,
		       enum family family)
{
	const uint8_t *fields = nft_shape_fields(info->key, family);
	uint8_t lens[NFT_SHAPE_MAX];
	uint32_t n = 0;

	for (; n < NFT_SHAPE_MAX && fields[n]; n++)
		lens[n] = nft_field(fields[n])->len[family];
	nftnl_set_set_data(s, NFTNL_SET_DESC_CONCAT, lens, n);
}

static uint32_t flags_of(enum nft_set set)
{
	uint8_t flags = nft_set_info(set)->flags;

	return (nft_set_is_map(set) ? NFT_SET_MAP : 0) |
	       (flags & SET_HAS_INTERVALS ? NFT_SET_INTERVAL | NFT_SET_CONCAT : 0) |
	       (flags & SET_IS_LEARNED ? NFT_SET_EVAL | NFT_SET_TIMEOUT : 0);
}

struct nftnl_set *nft_schema_set(enum family family, enum nft_set set)
{
	const struct nft_set_info *info = nft_set_info(set);
	struct nftnl_set *s = check(nftnl_set_alloc());

	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, nft_family_number(family));
	nftnl_set_set_str(s, NFTNL_SET_TABLE, NFT_TABLE_NAME);
	nftnl_set_set_str(s, NFTNL_SET_NAME, info->name);
	nftnl_set_set_u32(s, NFTNL_SET_ID, set + 1u);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, flags_of(set));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, nft_shape_type(info->key, family));
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN,
			  (uint32_t)nft_shape_len(info->key, family));
	set_data(s, info, family);
	set_typeof(s, info, family);
	if (info->flags & SET_HAS_INTERVALS)
		set_concat(s, info, family);
	if (info->flags & SET_COUNTS)
		nftnl_set_add_expr(s, check(nftnl_expr_alloc("counter")));
	if (info->flags & SET_IS_LEARNED) {
		nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, NFT_LEARNED_SIZE);
		nftnl_set_set_u64(s, NFTNL_SET_TIMEOUT,
				  NFT_LEARNED_TIMEOUT_SEC * 1000ull);
	}
	return s;
}

void nft_schema_add_set(struct nft_tx *tx, enum family family, enum nft_set set)
{
	struct nft_label label = label_of(VERB_ADD, WHAT_SET, family);
	struct nftnl_set *s = nft_schema_set(family, set);
	struct nlmsghdr *message;

	label.set = (uint8_t)set;
	message = nft_tx_begin(tx, PART_STRUCTURE, NFT_MSG_NEWSET, NLM_F_CREATE, &label);
	nftnl_set_nlmsg_build_payload(message, s);
	nft_tx_end(tx, PART_STRUCTURE, message);
	nftnl_set_free(s);
}

void nft_schema_delete_set(struct nft_tx *tx, enum family family, const char *name)
{
	struct nft_label label = label_of(VERB_DELETE, WHAT_FOREIGN, family);
	struct nlmsghdr *message = nft_tx_begin(tx, PART_TAIL, NFT_MSG_DELSET, 0, &label);

	mnl_attr_put_strz(message, NFTA_SET_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_SET_NAME, name);
	nft_tx_end(tx, PART_TAIL, message);
}

void nft_schema_add_chain(struct nft_tx *tx, enum family family, struct nft_chain chain)
{
	const struct nft_chain_info *info = nft_chain_info(chain.kind);
	struct nft_label label = label_of(VERB_ADD, WHAT_CHAIN, family);
	struct nftnl_chain *c = check(nftnl_chain_alloc());
	char name[NFT_CHAIN_NAME_LEN];
	struct nlmsghdr *message;

	label.chain = chain;
	nftnl_chain_set_u32(c, NFTNL_CHAIN_FAMILY, nft_family_number(family));
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, NFT_TABLE_NAME);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, nft_chain_name(chain, name));
	if (info->type) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, info->type);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, info->hook);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, info->priority);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	message =
		nft_tx_begin(tx, PART_STRUCTURE, NFT_MSG_NEWCHAIN, NLM_F_CREATE, &label);
	nftnl_chain_nlmsg_build_payload(message, c);
	nft_tx_end(tx, PART_STRUCTURE, message);
	nftnl_chain_free(c);
}

static void add_rule(void *data, const struct nft_rule *rule)
{
	struct nft_tx *tx = data;
	struct nft_label label = label_of(VERB_ADD, WHAT_RULE, rule->family);
	struct nftnl_rule *r = nft_rule_build(rule);
	struct nlmsghdr *message;

	label.chain = rule->chain;
	message = nft_tx_begin(tx, PART_STRUCTURE, NFT_MSG_NEWRULE,
			       NLM_F_CREATE | NLM_F_APPEND, &label);
	nftnl_rule_nlmsg_build_payload(message, r);
	nft_tx_end(tx, PART_STRUCTURE, message);
	nftnl_rule_free(r);
}

void nft_schema_add_rules(struct nft_tx *tx, enum family family, struct nft_chain chain,
			  const struct environment *env)
{
	nft_rules_each(chain, family, env, add_rule, tx);
}

void nft_schema_flush_chain(struct nft_tx *tx, enum family family, const char *name)
{
	struct nft_label label = label_of(VERB_FLUSH, WHAT_FOREIGN, family);
	struct nlmsghdr *message;

	if (nft_chain_parse(name, &label.chain))
		label.what = WHAT_RULE;
	message = nft_tx_begin(tx, PART_STRUCTURE, NFT_MSG_DELRULE, 0, &label);
	mnl_attr_put_strz(message, NFTA_RULE_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, name);
	nft_tx_end(tx, PART_STRUCTURE, message);
}

void nft_schema_delete_chain(struct nft_tx *tx, enum family family, const char *name)
{
	struct nft_label label = label_of(VERB_DELETE, WHAT_FOREIGN, family);
	struct nlmsghdr *message;

	nft_schema_flush_chain(tx, family, name);
	if (nft_chain_parse(name, &label.chain))
		label.what = WHAT_CHAIN;
	message = nft_tx_begin(tx, PART_TAIL, NFT_MSG_DELCHAIN, 0, &label);
	mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, name);
	nft_tx_end(tx, PART_TAIL, message);
}

void nft_schema_delete_object(struct nft_tx *tx, enum family family,
			      const struct nft_object *object)
{
	struct nft_label label = label_of(VERB_DELETE, WHAT_FOREIGN, family);
	uint16_t type = object->is_flowtable ? NFT_MSG_DELFLOWTABLE : NFT_MSG_DELOBJ;
	struct nlmsghdr *message = nft_tx_begin(tx, PART_TAIL, type, 0, &label);

	/* both kinds have them in the same places */
	mnl_attr_put_strz(message, NFTA_OBJ_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_OBJ_NAME, object->name);
	if (!object->is_flowtable)
		mnl_attr_put_u32(message, NFTA_OBJ_TYPE, htonl(object->type));
	nft_tx_end(tx, PART_TAIL, message);
}
