/*
 * The parts of our tables, as data: fields of a packet, the shapes of keys
 * made of them, sets and maps, kinds of chains.  Code that builds, reads back,
 * compares or prints takes names, types and lengths only from here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define NFT_TABLE_NAME "sluice"

/* Slots of the node-local pool start here; a pool has room for as many endpoints. */
#define NFT_LOCAL_SLOT	 65536u
#define NFT_SLOT_MODULUS (2 * NFT_LOCAL_SLOT)
#define NFT_HASH_MODULUS UINT32_MAX
/* A service's number is in the upper half; an endpoint's has its own in the lower half. */
#define NFT_NUMBER_SHIFT 16
#define NFT_NUMBER_MASK	 0xffff0000u

/* Values that a rule can read into a register, and parts of keys. */
enum nft_field {
	FIELD_NONE,
	FIELD_SADDR,
	FIELD_DADDR,
	FIELD_ANY_DADDR, /* the unspecified address: with it, node ports are kept once */
	FIELD_L4PROTO,
	FIELD_DPORT,
	FIELD_ORIGINAL_DADDR, /* before DNAT, out of conntrack */
	FIELD_ANY_ORIGINAL_DADDR,
	FIELD_ORIGINAL_DPORT,
	FIELD_REPLY_SADDR, /* the endpoint, out of conntrack */
	FIELD_REPLY_SPORT,
	FIELD_SLOT, /* a random one of the pool's */
	FIELD_SADDR_HASH,
	FIELD_SADDR_HASH_2,
	FIELD_NUMBER,	      /* of a service, or of its endpoint: in the priority */
	FIELD_NUMBER_SERVICE, /* the service's part of it */
	FIELD_N,
};

enum nft_field_kind {
	FIELD_KIND_PAYLOAD,
	FIELD_KIND_META,
	FIELD_KIND_CT,
	FIELD_KIND_NUMGEN,
	FIELD_KIND_HASH,
};

struct nft_field_info {
	enum nft_field_kind kind;
	const char *text[FAMILY_N]; /* as nft writes it; NULL: numgen and hash */
	uint32_t key
		[FAMILY_N]; /* payload: offset; meta, ct: key; hash: the field hashed */
	uint32_t arg;	    /* payload: base; ct: direction; hash: the seed */
	uint32_t mask;	    /* meta: applied to the value; 0: none */
	bool is_zeroed;	    /* payload, ct: every bit is masked out */
	uint8_t len[FAMILY_N];
	uint8_t datatype[FAMILY_N]; /* nft's number of the type */
	/* how nft's "typeof" is kept in a set's user data: expression, protocol, template */
	uint8_t typeof_expr, typeof_proto[FAMILY_N], typeof_template[FAMILY_N];
};

const struct nft_field_info *nft_field(enum nft_field field);
/* "ipv4_addr", …; NULL when it has no name of its own ("integer"). */
const char *nft_field_type(enum nft_field field, enum family family);

/* Fields one behind the other: a key, or the data of a map. */
enum nft_shape {
	SHAPE_NONE,
	SHAPE_ADDR,
	SHAPE_FRONTEND,
	SHAPE_SLOT,
	SHAPE_NODE_PORT, /* SHAPE_FRONTEND at any node address */
	SHAPE_NODE_PORT_SLOT,
	SHAPE_SOURCE,
	SHAPE_HAIRPIN,
	SHAPE_ENDPOINT,
	SHAPE_ORIGINAL, /* SHAPE_FRONTEND after DNAT */
	SHAPE_ORIGINAL_ADDR,
	SHAPE_ORIGINAL_NODE_PORT,
	SHAPE_NUMBER,
	SHAPE_NUMBERED,	      /* a service's number and an endpoint */
	SHAPE_REPLY_NUMBERED, /* SHAPE_NUMBERED after DNAT */
	SHAPE_CLIENT,	      /* client and service */
	SHAPE_BOUND_CLIENT,   /* SHAPE_CLIENT when the endpoint's number is loaded */
	SHAPE_N,
};
#define NFT_SHAPE_MAX 5 /* fields */

/* NFT_SHAPE_MAX of them, FIELD_NONE after the last. */
const uint8_t *nft_shape_fields(enum nft_shape shape, enum family family);
/* Each field is padded to four bytes, as in registers, unless it is the only one. */
size_t nft_shape_len(enum nft_shape shape, enum family family);
/* Does every field's type have a name? Otherwise nft needs "typeof". */
bool nft_shape_is_named(enum nft_shape shape, enum family family);
/* nft's number of a concatenated type. */
uint32_t nft_shape_type(enum nft_shape shape, enum family family);

enum nft_set {
	SET_FRONTENDS,
	SET_INTERNAL_FRONTENDS,
	SET_ENDPOINTS,
	SET_MASQUERADE_FROM_NODE,
	SET_MASQUERADE_ALWAYS,
	SET_CLUSTER_IPS,
	SET_EXTERNAL_ADDRESSES,
	SET_NODE_ADDRESSES,
	SET_NO_ENDPOINTS,
	SET_SOURCE_LIMITED,
	SET_SOURCE_RANGES,
	SET_SOURCE_DROPS,
	SET_HAIRPIN,
	SET_AFFINITY_SERVICES,
	SET_AFFINITY_TIMEOUTS,
	SET_AFFINITY_NUMBERS,
	SET_AFFINITY_ENDPOINTS,
	SET_AFFINITY_LOCAL_ENDPOINTS,
	SET_AFFINITY_CLIENTS,
	SET_N,
};

enum nft_set_flag {
	SET_COUNTS = 1 << 0,
	SET_HAS_INTERVALS = 1 << 1, /* keys are ranges */
	SET_IS_LEARNED = 1 << 2,    /* elements come from packets, with a timeout */
	SET_IS_SHARED = 1 << 3,	    /* several services may want the same element */
	SET_HAS_VERDICTS = 1 << 4,
};

struct nft_set_info {
	const char *name;
	uint8_t key,
		data; /* enum nft_shape; data is SHAPE_NONE for sets and verdict maps */
	uint8_t flags;
};

#define NFT_LEARNED_SIZE	1048576u
#define NFT_LEARNED_TIMEOUT_SEC 10800u

const struct nft_set_info *nft_set_info(enum nft_set set);
bool nft_set_is_map(enum nft_set set);
/* SET_N for a name that is not ours. */
enum nft_set nft_set_find(const char *name);

enum nft_chain_kind {
	CHAIN_REFUSE,
	CHAIN_DISPATCH_FROM_NODE,
	CHAIN_DISPATCH,
	CHAIN_CHECK_SOURCE,
	CHAIN_REFUSE_NO_ENDPOINTS,
	CHAIN_REFUSE_UNKNOWN_PORTS,
	CHAIN_REFUSE_FORWARDED,
	CHAIN_DROP_UNKNOWN_SERVICES,
	CHAIN_MASQUERADE_TRANSLATED,
	CHAIN_AFFINITY_BOUND,
	CHAIN_AFFINITY_LEARN,
	CHAIN_SOURCE_PREROUTING,
	CHAIN_SOURCE_OUTPUT,
	CHAIN_NAT_PREROUTING,
	CHAIN_NAT_OUTPUT,
	CHAIN_FILTER_INPUT,
	CHAIN_FILTER_FORWARD,
	CHAIN_FILTER_OUTPUT,
	CHAIN_AFFINITY_INPUT,
	CHAIN_AFFINITY_POSTROUTING,
	CHAIN_NAT_POSTROUTING,
	/* from here on there may be many of a kind, one for each number */
	CHAIN_PICK,
	CHAIN_PICK_LOCAL,
	CHAIN_AFFINITY, /* these two jump to the pick chain of the same number */
	CHAIN_AFFINITY_LOCAL,
	CHAIN_AFFINITY_LEARN_FOR, /* seconds */
	CHAIN_N,
};
#define CHAIN_STATIC_N CHAIN_PICK

/* One chain: its kind, and the number in its name (0 for the static ones). */
struct nft_chain {
	uint32_t kind, number;
};

struct nft_chain_info {
	const char *name; /* a format with one %u for the numbered kinds */
	const char *type; /* of a base chain: "nat", "filter"; NULL: a regular chain */
	uint32_t hook;
	int32_t priority;
};

#define NFT_CHAIN_NAME_LEN 32

const struct nft_chain_info *nft_chain_info(uint32_t kind);
const char *nft_chain_name(struct nft_chain chain, char buf[static NFT_CHAIN_NAME_LEN]);
/* The chain of this name; false when we never make one that is called so. */
bool nft_chain_parse(const char *name, struct nft_chain *ret);
/* The chain that this one's rules go to and that no other chain may keep; false: none. */
bool nft_chain_needs(struct nft_chain chain, struct nft_chain *ret);
const char *nft_hook_name(uint32_t hook);

/* "ip", "ip6" */
const char *nft_family_name(enum family family);
/* NFPROTO_IPV4, NFPROTO_IPV6 */
uint8_t nft_family_number(enum family family);
