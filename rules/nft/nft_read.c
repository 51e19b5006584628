/*
 * Requests name our table where the kernel can filter; where it can't (chains,
 * on most kernels) entries of other tables are skipped here.
 */
#include "rules/nft/nft_read.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "core/cleanup.h"
#include "core/netlink.h"

DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free);
DEFINE_CLEANUP(struct nftnl_chain *, nftnl_chain_free);
DEFINE_CLEANUP(struct nftnl_rule *, nftnl_rule_free);

struct reading {
	enum family family;
	enum nft_set set;
	union {
		void (*set)(void *data, const struct nftnl_set *set, int64_t n_elements);
		void (*chain)(void *data, const struct nftnl_chain *chain);
		void (*rule)(void *data, const char *chain,
			     const struct nftnl_rule *rule);
		void (*object)(void *data, const struct nft_object *object);
		void (*element)(void *data, const struct nft_read_element *e);
	} fn;
	void *data;
};

static const struct nlattr *attr_of(const struct nlmsghdr *message, uint16_t type)
{
	return netlink_attr(message, sizeof(struct nfgenmsg), type);
}

static int take_table(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *handle = attr_of(message, NFTA_TABLE_HANDLE);
	struct nft_table_info *info = data;

	(void)netlink_u32(attr_of(message, NFTA_TABLE_FLAGS), &info->flags);
	if (netlink_has_len(handle, sizeof(info->handle)))
		info->handle = be64toh(mnl_attr_get_u64(handle));
	return 0;
}

int nft_read_table(struct nft_link *link, enum family family, struct nft_table_info *ret)
{
	struct nlmsghdr buf[NFT_REQUEST_N];
	struct nlmsghdr *request = nft_link_request(link, buf, NFT_MSG_GETTABLE,
						    nft_family_number(family), 0);
	struct nft_table_info info = {0};
	int err;

	mnl_attr_put_strz(request, NFTA_TABLE_NAME, NFT_TABLE_NAME);
	err = nft_link_ask(link, request, take_table, &info);
	if (err && err != -ENOENT && err != -EAFNOSUPPORT && err != -EOPNOTSUPP)
		return err;
	info.exists = !err;
	*ret = info;
	return 0;
}

/* The name of the table is attribute 1 of every kind of message. */
static int dump(struct nft_link *link, uint16_t type, const char *set,
		int (*message)(void *data, const struct nlmsghdr *message),
		struct reading *r)
{
	struct nlmsghdr buf[NFT_REQUEST_N];
	struct nlmsghdr *request =
		nft_link_request(link, buf, type, nft_family_number(r->family), 0);

	mnl_attr_put_strz(request, 1, NFT_TABLE_NAME);
	if (set)
		mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, set);
	return nft_link_dump(link, request, message, r);
}

static bool is_ours(const char *table)
{
	return table && strcmp(table, NFT_TABLE_NAME) == 0;
}

/* Younger than the headers and the library of the systems we build on. */
#define SET_ATTR_COUNT 20

static int64_t count_of(const struct nlmsghdr *message)
{
	uint32_t count;

	return netlink_u32(attr_of(message, SET_ATTR_COUNT), &count) ? (int64_t)count
								     : -1;
}

static int take_set(void *data, const struct nlmsghdr *message)
{
	struct reading *r = data;
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = nftnl_set_alloc();

	if (!set)
		return -ENOMEM;
	if (nftnl_set_nlmsg_parse(message, set) < 0)
		return -EBADMSG;
	if (is_ours(nftnl_set_get_str(set, NFTNL_SET_TABLE)) &&
	    nftnl_set_is_set(set, NFTNL_SET_NAME))
		r->fn.set(r->data, set, count_of(message));
	return 0;
}

int nft_read_sets(struct nft_link *link, enum family family,
		  void (*fn)(void *data, const struct nftnl_set *set, int64_t n_elements),
		  void *data)
{
	struct reading r = {.family = family, .fn.set = fn, .data = data};

	return dump(link, NFT_MSG_GETSET, NULL, take_set, &r);
}

static int take_chain(void *data, const struct nlmsghdr *message)
{
	struct reading *r = data;
	_cleanup_(nftnl_chain_freep) struct nftnl_chain *chain = nftnl_chain_alloc();

	if (!chain)
		return -ENOMEM;
	if (nftnl_chain_nlmsg_parse(message, chain) < 0)
		return -EBADMSG;
	if (is_ours(nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE)) &&
	    nftnl_chain_is_set(chain, NFTNL_CHAIN_NAME))
		r->fn.chain(r->data, chain);
	return 0;
}

int nft_read_chains(struct nft_link *link, enum family family,
		    void (*fn)(void *data, const struct nftnl_chain *chain), void *data)
{
	struct reading r = {.family = family, .fn.chain = fn, .data = data};

	return dump(link, NFT_MSG_GETCHAIN, NULL, take_chain, &r);
}

static int take_rule(void *data, const struct nlmsghdr *message)
{
	struct reading *r = data;
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
	const char *chain = netlink_string(attr_of(message, NFTA_RULE_CHAIN));
	int err;

	if (!rule)
		return -ENOMEM;
	if (!chain || !is_ours(netlink_string(attr_of(message, NFTA_RULE_TABLE))))
		return 0;
	err = nftnl_rule_nlmsg_parse(message, rule);
	r->fn.rule(r->data, chain, err < 0 ? NULL : rule);
	return 0;
}

int nft_read_rules(struct nft_link *link, enum family family,
		   void (*fn)(void *data, const char *chain,
			      const struct nftnl_rule *rule),
		   void *data)
{
	struct reading r = {.family = family, .fn.rule = fn, .data = data};

	return dump(link, NFT_MSG_GETRULE, NULL, take_rule, &r);
}

static int take_object(void *data, const struct nlmsghdr *message)
{
	struct reading *r = data;
	struct nft_object object = {
		.is_flowtable = (message->nlmsg_type & 0xff) == NFT_MSG_NEWFLOWTABLE,
		.name = netlink_string(attr_of(message, NFTA_OBJ_NAME)),
	};

	if (!object.name || !is_ours(netlink_string(attr_of(message, NFTA_OBJ_TABLE))))
		return 0;
	if (!object.is_flowtable &&
	    !netlink_u32(attr_of(message, NFTA_OBJ_TYPE), &object.type))
		return 0;
	r->fn.object(r->data, &object);
	return 0;
}

int nft_read_objects(struct nft_link *link, enum family family,
		     void (*fn)(void *data, const struct nft_object *object), void *data)
{
	static const uint16_t types[] = {NFT_MSG_GETOBJ, NFT_MSG_GETFLOWTABLE};
	struct reading r = {.family = family, .fn.object = fn, .data = data};
	int err = 0;

	for (size_t i = 0; i < N_ELEMENTS(types) && !err; i++) {
		err = dump(link, types[i], NULL, take_object, &r);
		/* a kernel without such objects has none */
		if (err == -EOPNOTSUPP || err == -EINVAL)
			err = 0;
	}
	return err;
}

static int take_elements(void *data, const struct nlmsghdr *message)
{
	struct reading *r = data;

	return nft_wire_parse_elements(message, r->set, r->family, r->fn.element,
				       r->data);
}

int nft_read_elements(struct nft_link *link, enum family family, enum nft_set set,
		      void (*fn)(void *data, const struct nft_read_element *e),
		      void *data)
{
	struct reading r = {
		.family = family,
		.set = set,
		.fn.element = fn,
		.data = data,
	};

	return dump(link, NFT_MSG_GETSETELEM, nft_set_info(set)->name, take_elements, &r);
}

int nft_read_keys(struct nft_link *link, const struct nft_element *keys, size_t n,
		  void (*fn)(void *data, const struct nft_read_element *e), void *data)
{
	struct nlmsghdr buf[NFT_REQUEST_N + NFT_READ_KEYS_MAX * 2 * NFT_KEY_MAX /
						    sizeof(struct nlmsghdr)];
	struct reading r = {
		.family = keys->family,
		.set = keys->set,
		.fn.element = fn,
		.data = data,
	};
	struct nlmsghdr *request =
		nft_link_request(link, buf, NFT_MSG_GETSETELEM,
				 nft_family_number(keys->family), NLM_F_ACK);
	struct nlattr *list;

	mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, nft_set_info(keys->set)->name);
	list = mnl_attr_nest_start(request, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (size_t i = 0; i < n; i++)
		nft_wire_put_element(request, &keys[i], false);
	mnl_attr_nest_end(request, list);
	return nft_link_ask_many(link, request, take_elements, &r);
}
