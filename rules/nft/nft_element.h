/*
 * One element of one of our sets, as a plain value: the key's bytes as the
 * kernel has them (of an interval: its first and its last key), and what it
 * maps to.
 */
#pragma once

#include "core/buf.h"
#include "rules/nft/nft_layout.h"

enum nft_verdict_code {
	VERDICT_GOTO,
	VERDICT_ACCEPT,
	VERDICT_DROP,
	VERDICT_OTHER, /* read from the kernel, and nothing that we would write */
};

/* The value of an element of a verdict map. */
struct nft_verdict {
	uint32_t code;
	struct nft_chain chain; /* of VERDICT_GOTO, else zero */
};

#define NFT_KEY_MAX   80 /* the two ends of an IPv6 address with protocol, port, address */
#define NFT_VALUE_MAX 20

struct nft_element {
	uint8_t set, family;
	uint8_t key_len; /* of both ends together */
	uint8_t value_len;
	uint8_t key[NFT_KEY_MAX];
	uint8_t value[NFT_VALUE_MAX];
	/* the counter: as read, or its first value; not compared */
	uint64_t n_packets, n_bytes;
};

static inline void nft_element_set_verdict(struct nft_element *e, struct nft_verdict v)
{
	e->value_len = sizeof(v);
	memcpy(e->value, &v, sizeof(v));
}

static inline struct nft_verdict nft_element_verdict(const struct nft_element *e)
{
	struct nft_verdict v;

	memcpy(&v, e->value, sizeof(v));
	return v;
}

/* The bytes of a key, built up from left to right: they return its length so far. */
size_t nft_key_addr(uint8_t *key, size_t len, const struct addr *addr);
size_t nft_key_port(uint8_t *key, size_t len, uint16_t port);
size_t nft_key_u32(uint8_t *key, size_t len, uint32_t value);
/* Whole keys: SHAPE_FRONTEND, SHAPE_NUMBERED. */
size_t nft_key_frontend(uint8_t *key, const struct addr *addr, uint8_t proto,
			uint16_t port);
size_t nft_key_numbered(uint8_t *key, uint32_t number, const struct addr *addr,
			uint16_t port);

/* Where a field of the key, or of the data, begins. */
size_t nft_shape_offset(enum nft_shape shape, enum family family, unsigned index);

/* "10.96.0.1 . tcp . 80 : goto pick-2" */
void nft_element_print(const struct nft_element *e, struct buf *out);
