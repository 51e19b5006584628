/*
 * Messages come from the kernel, and are checked all the same.
 */
#include "rules/nft/nft_wire.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "core/netlink.h"

/* missing in the uapi headers of older systems */
#define ELEM_IS_CATCHALL 2u

static void put_value(struct nlmsghdr *message, uint16_t type, const void *bytes,
		      size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	mnl_attr_put(message, NFTA_DATA_VALUE, len, bytes);
	mnl_attr_nest_end(message, nest);
}

static uint32_t code_to_wire(uint32_t code)
{
	static const int verdicts[] = {
		[VERDICT_GOTO] = NFT_GOTO,
		[VERDICT_ACCEPT] = NF_ACCEPT,
		[VERDICT_DROP] = NF_DROP,
		[VERDICT_OTHER] = NFT_BREAK,
	};

	return htonl((uint32_t)verdicts[code]);
}

static void put_verdict(struct nlmsghdr *message, const struct nft_element *e)
{
	const struct nft_verdict v = nft_element_verdict(e);
	struct nlattr *data = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
	struct nlattr *verdict = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
	char name[NFT_CHAIN_NAME_LEN];

	mnl_attr_put_u32(message, NFTA_VERDICT_CODE, code_to_wire(v.code));
	if (v.code == VERDICT_GOTO)
		mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN,
				  nft_chain_name(v.chain, name));
	mnl_attr_nest_end(message, verdict);
	mnl_attr_nest_end(message, data);
}

static void put_counter(struct nlmsghdr *message, const struct nft_element *e)
{
	struct nlattr *expr = mnl_attr_nest_start(message, NFTA_SET_ELEM_EXPR);
	struct nlattr *data;

	mnl_attr_put_strz(message, NFTA_EXPR_NAME, "counter");
	data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
	mnl_attr_put_u64(message, NFTA_COUNTER_BYTES, htobe64(e->n_bytes));
	mnl_attr_put_u64(message, NFTA_COUNTER_PACKETS, htobe64(e->n_packets));
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, expr);
}

void nft_wire_put_element(struct nlmsghdr *message, const struct nft_element *e,
			  bool with_value)
{
	const struct nft_set_info *info = nft_set_info(e->set);
	size_t n_ends = info->flags & SET_HAS_INTERVALS ? 2 : 1;
	size_t len = e->key_len / n_ends;
	struct nlattr *item = mnl_attr_nest_start(message, NFTA_LIST_ELEM);

	if (!e->key_len)
		mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(ELEM_IS_CATCHALL));
	else
		put_value(message, NFTA_SET_ELEM_KEY, e->key, len);
	if (e->key_len && n_ends == 2)
		put_value(message, NFTA_SET_ELEM_KEY_END, e->key + len, len);
	if (with_value && info->flags & SET_HAS_VERDICTS)
		put_verdict(message, e);
	else if (with_value && e->value_len)
		put_value(message, NFTA_SET_ELEM_DATA, e->value, e->value_len);
	if (with_value && e->n_packets && info->flags & SET_COUNTS)
		put_counter(message, e);
	mnl_attr_nest_end(message, item);
}

static int copy_value(const struct nlattr *data, uint8_t *bytes, size_t max, uint8_t *len)
{
	const struct nlattr *value = netlink_attr_in(data, NFTA_DATA_VALUE);
	size_t n = value ? mnl_attr_get_payload_len(value) : 0;

	if (!value || n > max - *len)
		return -EBADMSG;
	memcpy(bytes + *len, mnl_attr_get_payload(value), n);
	*len = (uint8_t)(*len + n);
	return 0;
}

static struct nft_verdict verdict_from_wire(uint32_t code, const char *chain)
{
	struct nft_verdict v = {.code = VERDICT_OTHER};

	if ((int)code == NFT_GOTO && chain && nft_chain_parse(chain, &v.chain))
		v.code = VERDICT_GOTO;
	else if (code == NF_ACCEPT)
		v.code = VERDICT_ACCEPT;
	else if (code == NF_DROP)
		v.code = VERDICT_DROP;
	return v;
}

static int parse_verdict(const struct nlattr *data, struct nft_element *e)
{
	const struct nlattr *verdict = netlink_attr_in(data, NFTA_DATA_VERDICT);
	const struct nlattr *chain = netlink_attr_in(verdict, NFTA_VERDICT_CHAIN);
	uint32_t code;

	if (!netlink_u32(netlink_attr_in(verdict, NFTA_VERDICT_CODE), &code) ||
	    (chain && !netlink_string(chain)))
		return -EBADMSG;
	nft_element_set_verdict(e, verdict_from_wire(code, netlink_string(chain)));
	return 0;
}

static int parse_key(const struct nlattr *item, struct nft_element *e)
{
	bool is_interval = nft_set_info(e->set)->flags & SET_HAS_INTERVALS;
	const struct nlattr *key = netlink_attr_in(item, NFTA_SET_ELEM_KEY);
	const struct nlattr *end = netlink_attr_in(item, NFTA_SET_ELEM_KEY_END);
	int err = 0;

	if (key)
		err = copy_value(key, e->key, sizeof(e->key), &e->key_len);
	/* a range of one may come without its end */
	if (!err && key && is_interval)
		err = copy_value(end ? end : key, e->key, sizeof(e->key), &e->key_len);
	return err;
}

static void copy_u64(const struct nlattr *attr, uint64_t *ret)
{
	if (netlink_has_len(attr, sizeof(*ret)))
		*ret = be64toh(mnl_attr_get_u64(attr));
}

static void parse_counter(const struct nlattr *expr, struct nft_element *e)
{
	const char *name = netlink_string(netlink_attr_in(expr, NFTA_EXPR_NAME));
	const struct nlattr *counter = netlink_attr_in(expr, NFTA_EXPR_DATA);

	if (!name || strcmp(name, "counter") != 0)
		return;
	copy_u64(netlink_attr_in(counter, NFTA_COUNTER_PACKETS), &e->n_packets);
	copy_u64(netlink_attr_in(counter, NFTA_COUNTER_BYTES), &e->n_bytes);
}

/* One expression stands alone, several in a list. */
static void parse_counters(const struct nlattr *item, struct nft_element *e)
{
	const struct nlattr *list = netlink_attr_in(item, NFTA_SET_ELEM_EXPRESSIONS);
	const struct nlattr *expr;

	parse_counter(netlink_attr_in(item, NFTA_SET_ELEM_EXPR), e);
	if (list)
		mnl_attr_for_each_nested(expr, list) parse_counter(expr, e);
}

static int parse_item(const struct nlattr *item, struct nft_read_element *ret)
{
	const struct nft_set_info *info = nft_set_info(ret->e.set);
	const struct nlattr *data = netlink_attr_in(item, NFTA_SET_ELEM_DATA);
	int err = parse_key(item, &ret->e);

	if (!err && data && info->flags & SET_HAS_VERDICTS)
		err = parse_verdict(data, &ret->e);
	else if (!err && data)
		err = copy_value(data, ret->e.value, sizeof(ret->e.value),
				 &ret->e.value_len);
	ret->is_catchall = !netlink_attr_in(item, NFTA_SET_ELEM_KEY);
	parse_counters(item, &ret->e);
	return err;
}

int nft_wire_parse_elements(const struct nlmsghdr *message, enum nft_set set,
			    enum family family,
			    void (*fn)(void *data, const struct nft_read_element *e),
			    void *data)
{
	const struct nlattr *attr, *item;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg))
		return -EBADMSG;
	mnl_attr_for_each(attr, message, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(item, attr)
		{
			struct nft_read_element read = {
				.e = {.set = (uint8_t)set, .family = (uint8_t)family},
			};
			int err = parse_item(item, &read);

			if (err)
				return err;
			fn(data, &read);
		}
	}
	return 0;
}
