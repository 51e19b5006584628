#include "watchers/saved/record.h"

#include <string.h>

#include "core/cleanup.h"
#include "watchers/decode/decode_valid.h"

#define GROUP_BITS 7u
#define MORE	   0x80u

void record_init_writer(struct record *r, struct buf *out)
{
	r->out = out;
	r->at = r->end = NULL;
	r->is_bad = false;
	scratch_init(&r->scratch);
}

void record_init_reader(struct record *r, const void *bytes, size_t len)
{
	record_init_writer(r, NULL);
	r->at = bytes;
	r->end = r->at + len;
}

void record_fini(struct record *r)
{
	scratch_fini(&r->scratch);
}

void record_require(struct record *r, bool holds)
{
	r->is_bad |= !r->out && !holds;
}

static size_t n_left(const struct record *r)
{
	return (size_t)(r->end - r->at);
}

static void write_number(struct buf *out, uint64_t value)
{
	char bytes[10];
	size_t n = 0;

	for (; value >= MORE; value >>= GROUP_BITS)
		bytes[n++] = (char)(value | MORE);
	bytes[n++] = (char)value;
	buf_add(out, bytes, n);
}

static uint64_t read_number(struct record *r)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += GROUP_BITS) {
		uint8_t byte = (uint8_t)*r->at++;

		value |= (uint64_t)(byte & (MORE - 1)) << shift;
		if (!(byte & MORE))
			return value;
	}
	r->is_bad = true;
	return 0;
}

uint64_t record_number(struct record *r, uint64_t value, uint64_t min, uint64_t max)
{
	if (r->out) {
		write_number(r->out, value);
		return value;
	}
	value = read_number(r);
	record_require(r, value >= min && value <= max);
	return r->is_bad ? min : value;
}

bool record_bool(struct record *r, bool value)
{
	return record_number(r, value, 0, 1);
}

/* The length, and as many bytes; *len is 0, and NULL is returned, after bad ones. */
static const char *bytes_of(struct record *r, const char *bytes, size_t *len)
{
	*len = record_number(r, *len, 0, SIZE_MAX);
	if (r->out) {
		buf_add(r->out, bytes, *len);
		return bytes;
	}
	record_require(r, *len <= n_left(r));
	if (r->is_bad) {
		*len = 0;
		return NULL;
	}
	bytes = r->at;
	r->at += *len;
	return bytes;
}

const char *record_text(struct record *r, const char *text, size_t max)
{
	size_t len = r->out ? strlen(text) + 1 : 0;

	text = bytes_of(r, text, &len);
	record_require(r, len > 0 && len <= max + 1 && !text[len - 1] &&
				  strlen(text) + 1 == len);
	return r->is_bad ? "" : text;
}

const char *record_plain(struct record *r, const char *text, size_t max)
{
	text = record_text(r, text, max);
	record_require(r, decode_is_plain(text, max));
	return r->is_bad ? "" : text;
}

/* With both NULs at the end; 0 without names. */
static size_t names_len(const char *names)
{
	size_t len = 0;

	while (names[len])
		len += strlen(names + len) + 1;
	return len ? len + 1 : 0;
}

/* Are these bytes such a list, of valid names? */
static bool are_names(const char *names, size_t len, size_t max)
{
	size_t n = 0;

	if (len < 3 || names[len - 1] || names[len - 2] || names_len(names) != len)
		return false;
	for (; *names; names += strlen(names) + 1, n++)
		if (!decode_is_plain(names, DECODE_MAX_NAME))
			return false;
	return n <= max;
}

const char *record_names(struct record *r, const char *names, size_t max)
{
	size_t len = r->out ? names_len(names) : 0;

	names = bytes_of(r, names, &len);
	record_require(r, len == 0 || are_names(names, len, max));
	return r->is_bad || len == 0 ? "" : names;
}

void record_any_addr(struct record *r, struct addr *addr)
{
	enum family family =
		(enum family)record_number(r, addr_family(addr), 0, FAMILY_N - 1);
	size_t len = sizeof(addr->b);

	if (r->out) {
		const uint8_t *bytes = addr_bytes(addr, &len);

		buf_add(r->out, bytes, len);
		return;
	}
	if (family == FAMILY_IPV4)
		len = 4;
	record_require(r, len <= n_left(r));
	if (r->is_bad)
		return;
	*addr = addr_from_bytes(family, r->at);
	r->at += len;
	record_require(r, addr_family(addr) == family); /* not a mapped one */
}

void record_addr(struct record *r, struct addr *addr)
{
	record_any_addr(r, addr);
	record_require(r, !addr_is_unspecified(addr));
}

void record_cidr(struct record *r, struct cidr *cidr)
{
	struct cidr made;

	record_any_addr(r, &cidr->addr);
	cidr->prefix_len = (uint8_t)record_number(r, cidr->prefix_len, 0, 128);
	record_require(r, cidr_make(&cidr->addr, cidr->prefix_len, &made) == 0 &&
				  cidr_equal(&made, cidr));
}

static bool has_twins(const char *items, size_t n, size_t len)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (memcmp(items + i * len, items + j * len, len) == 0)
				return true;
	return false;
}

void *record_list(struct record *r, const void *items, uint32_t *n, size_t item_len,
		  size_t max, bool is_set, void (*fields)(struct record *r, void *item))
{
	char *list;

	*n = (uint32_t)record_number(r, *n, 0, max);
	record_require(r, *n <= n_left(r)); /* each item has a byte at least */
	if (r->is_bad) {
		*n = 0;
		return NULL;
	}
	list = scratch_take(&r->scratch, *n, item_len);
	if (r->out && *n > 0)
		memcpy(list, items, *n * item_len);
	for (uint32_t i = 0; i < *n && !r->is_bad; i++)
		fields(r, list + i * item_len);
	record_require(r, !is_set || !has_twins(list, *n, item_len));
	if (r->is_bad)
		*n = 0;
	return list;
}
