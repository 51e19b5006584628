/*
 * Elements as nft writes them.
 */
#include "rules/nft/nft_element.h"

#include <string.h>

#include "core/cleanup.h"

size_t nft_shape_offset(enum nft_shape shape, enum family family, unsigned index)
{
	const uint8_t *fields = nft_shape_fields(shape, family);
	size_t offset = 0;

	for (unsigned i = 0; i < index; i++)
		offset += (nft_field(fields[i])->len[family] + 3u) & ~3u;
	return offset;
}

size_t nft_key_addr(uint8_t *key, size_t len, const struct addr *addr)
{
	size_t addr_len;
	const uint8_t *from = addr_bytes(addr, &addr_len);

	memcpy(key + len, from, addr_len);
	return len + addr_len;
}

/* Fields shorter than four bytes are padded. */
size_t nft_key_port(uint8_t *key, size_t len, uint16_t port)
{
	const uint8_t bytes[4] = {(uint8_t)(port >> 8), (uint8_t)port};

	memcpy(key + len, bytes, sizeof(bytes));
	return len + sizeof(bytes);
}

size_t nft_key_u32(uint8_t *key, size_t len, uint32_t value)
{
	memcpy(key + len, &value, sizeof(value));
	return len + sizeof(value);
}

size_t nft_key_frontend(uint8_t *key, const struct addr *addr, uint8_t proto,
			uint16_t port)
{
	const uint8_t bytes[4] = {proto};
	size_t len = nft_key_addr(key, 0, addr);

	memcpy(key + len, bytes, sizeof(bytes));
	return nft_key_port(key, len + sizeof(bytes), port);
}

size_t nft_key_numbered(uint8_t *key, uint32_t number, const struct addr *addr,
			uint16_t port)
{
	return nft_key_port(key, nft_key_addr(key, nft_key_u32(key, 0, number), addr),
			    port);
}

static void print_addr(enum family family, const uint8_t *bytes, struct buf *out)
{
	struct addr addr = addr_from_bytes(family, bytes);
	char text[ADDR_TEXT_LEN];

	buf_add_string(out, addr_format(&addr, text));
}

static void print_field(enum nft_field field, enum family family, const uint8_t *bytes,
			struct buf *out)
{
	uint32_t number;
	const char *name;

	switch (nft_field(field)->len[family]) {
	case 1:
		name = proto_name(bytes[0]);
		if (name)
			for (; *name; name++)
				buf_add_char(out, (char)(*name | 0x20));
		else
			buf_printf(out, "%u", bytes[0]);
		return;
	case 2:
		buf_printf(out, "%u", bytes[0] << 8 | bytes[1]);
		return;
	}
	if (field != FIELD_NUMBER && nft_field_type(field, family)) {
		print_addr(family, bytes, out);
		return;
	}
	memcpy(&number, bytes, sizeof(number));
	if (field == FIELD_NUMBER)
		buf_printf(out, "%x:%x", number >> NFT_NUMBER_SHIFT,
			   number & ~NFT_NUMBER_MASK);
	else
		buf_printf(out, "%u", number);
}

/* How many bits the two share, when they are the ends of a network; -1 when not. */
static int prefix_len(const uint8_t *first, const uint8_t *last, size_t len)
{
	unsigned bits = 8 * (unsigned)len, n = 0;

	while (n < bits && !((first[n / 8] ^ last[n / 8]) & 0x80u >> n % 8))
		n++;
	for (unsigned i = n; i < bits; i++)
		if (first[i / 8] & 0x80u >> i % 8 || !(last[i / 8] & 0x80u >> i % 8))
			return -1;
	return (int)n;
}

static void print_end(enum nft_field field, enum family family, const uint8_t *first,
		      const uint8_t *last, struct buf *out)
{
	size_t len = nft_field(field)->len[family];
	int prefix = prefix_len(first, last, len);

	if (prefix == (int)(8 * len))
		return;
	if (prefix >= 0) {
		buf_printf(out, "/%d", prefix);
	} else {
		buf_add_char(out, '-');
		print_field(field, family, last, out);
	}
}

static void print_shape(enum nft_shape shape, enum family family, const uint8_t *bytes,
			const uint8_t *last, struct buf *out)
{
	const uint8_t *fields = nft_shape_fields(shape, family);

	for (unsigned i = 0; i < NFT_SHAPE_MAX && fields[i]; i++) {
		size_t offset = nft_shape_offset(shape, family, i);

		buf_add_string(out, i ? " . " : "");
		print_field(fields[i], family, bytes + offset, out);
		if (last)
			print_end(fields[i], family, bytes + offset, last + offset, out);
	}
}

static void print_verdict(const struct nft_verdict *v, struct buf *out)
{
	static const char *const words[] = {"goto ", "accept", "drop", "?"};
	char name[NFT_CHAIN_NAME_LEN];

	buf_add_string(out, words[v->code]);
	if (v->code == VERDICT_GOTO)
		buf_add_string(out, nft_chain_name(v->chain, name));
}

void nft_element_print(const struct nft_element *e, struct buf *out)
{
	const struct nft_set_info *info = nft_set_info(e->set);
	struct nft_verdict v;

	print_shape(info->key, e->family, e->key,
		    info->flags & SET_HAS_INTERVALS ? e->key + e->key_len / 2 : NULL,
		    out);
	if (!e->value_len)
		return;
	buf_add_string(out, " : ");
	if (info->flags & SET_HAS_VERDICTS) {
		v = nft_element_verdict(e);
		print_verdict(&v, out);
	} else {
		print_shape(info->data, e->family, e->value, NULL, out);
	}
}
