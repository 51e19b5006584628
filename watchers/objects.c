/*
 * Building, comparing and sharing objects.  One table lists the pointers of every
 * kind of object, so that there is one copy and one compare function.  An object
 * is a head, then its arrays, then its text.
 */
#include "watchers/objects.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/object_pack.h"

struct text_at {
	uint16_t offset; /* of a const char * */
	bool is_list;	 /* NUL-separated, ended by an empty string */
};

struct array_at {
	uint16_t pointer, count; /* offsets in the head */
	uint16_t item_len;
	uint16_t n_texts;
	const struct text_at *texts; /* in each item, by rising offset */
};

struct layout {
	const char *name;
	size_t head_len;
	const struct text_at *texts;
	const struct array_at *arrays;
	size_t n_texts, n_arrays;
};

#define TEXT(type, field)                                                                \
	{                                                                                \
		offsetof(struct type, field), false                                      \
	}
#define TEXT_LIST(type, field)                                                           \
	{                                                                                \
		offsetof(struct type, field), true                                       \
	}
#define BASE_TEXTS(type) TEXT(type, base.ns), TEXT(type, base.name), TEXT(type, base.uid)
#define ARRAY(type, items, n, texts, n_texts)                                            \
	{                                                                                \
		offsetof(struct type, items), offsetof(struct type, n),                  \
			sizeof(*((struct type *)NULL)->items), n_texts, texts            \
	}
#define LAYOUT(type, label, own_texts, own_arrays)                                       \
	{                                                                                \
		.name = label, .head_len = sizeof(struct type), .texts = own_texts,      \
		.n_texts = N_ELEMENTS(own_texts), .arrays = own_arrays,                  \
		.n_arrays = N_ELEMENTS(own_arrays)                                       \
	}

static const struct text_at service_port_texts[] = {TEXT(object_service_port, name)};
static const struct text_at service_texts[] = {
	BASE_TEXTS(object_service),
	TEXT(object_service, health_path),
};
static const struct array_at service_arrays[] = {
	ARRAY(object_service, ports, n_ports, service_port_texts, 1),
	ARRAY(object_service, external_ips, n_external_ips, NULL, 0),
	ARRAY(object_service, ingress, n_ingress, NULL, 0),
	ARRAY(object_service, source_ranges, n_source_ranges, NULL, 0),
};

static const struct text_at slice_port_texts[] = {TEXT(object_slice_port, name)};
static const struct text_at endpoint_texts[] = {
	TEXT(object_endpoint, node),
	TEXT_LIST(object_endpoint, zones),
	TEXT_LIST(object_endpoint, nodes),
};
static const struct text_at slice_texts[] = {
	BASE_TEXTS(object_slice),
	TEXT(object_slice, service),
};
static const struct array_at slice_arrays[] = {
	ARRAY(object_slice, ports, n_ports, slice_port_texts, 1),
	ARRAY(object_slice, endpoints, n_endpoints, endpoint_texts, 3),
};

static const struct text_at node_texts[] = {
	BASE_TEXTS(object_node),
	TEXT(object_node, zone),
	TEXT(object_node, hostname),
};
static const struct array_at node_arrays[] = {
	ARRAY(object_node, addresses, n_addresses, NULL, 0),
	ARRAY(object_node, pod_cidrs, n_pod_cidrs, NULL, 0),
};

static const struct text_at service_cidr_texts[] = {BASE_TEXTS(object_service_cidr)};
static const struct array_at service_cidr_arrays[] = {
	ARRAY(object_service_cidr, cidrs, n_cidrs, NULL, 0),
};

static const struct layout layouts[OBJECT_KIND_N] = {
	[OBJECT_SERVICE] =
		LAYOUT(object_service, "Service", service_texts, service_arrays),
	[OBJECT_SLICE] = LAYOUT(object_slice, "EndpointSlice", slice_texts, slice_arrays),
	[OBJECT_NODE] = LAYOUT(object_node, "Node", node_texts, node_arrays),
	[OBJECT_SERVICE_CIDR] = LAYOUT(object_service_cidr, "ServiceCIDR",
				       service_cidr_texts, service_cidr_arrays),
};

#define MAX_HEAD_LEN 512
#define POINTER_LEN  sizeof(void *)
_Static_assert(sizeof(struct object_service) <= MAX_HEAD_LEN, "head of a Service");
_Static_assert(sizeof(struct object_slice) <= MAX_HEAD_LEN, "head of a slice");
_Static_assert(sizeof(struct object_node) <= MAX_HEAD_LEN, "head of a Node");

static const char *text_get(const void *in, const struct text_at *at)
{
	const char *text;

	memcpy(&text, (const char *)in + at->offset, sizeof(text));
	return text;
}

static void text_set(void *in, const struct text_at *at, const char *text)
{
	memcpy((char *)in + at->offset, &text, sizeof(text));
}

/* With everything that belongs to it, its last NUL too. */
static size_t text_len(const struct text_at *at, const char *text)
{
	size_t len = strlen(text) + 1;

	/* An empty list is one empty string, with nothing behind it. */
	if (!at->is_list || !*text)
		return len;
	while (text[len])
		len += strlen(text + len) + 1;
	return len + 1;
}

static const char *array_get(const void *head, const struct array_at *at, size_t *ret_n)
{
	const char *items;
	uint32_t n;

	memcpy(&items, (const char *)head + at->pointer, sizeof(items));
	memcpy(&n, (const char *)head + at->count, sizeof(n));
	*ret_n = n;
	return items;
}

/*
 * One walk over an object's text.  The first one measures (block is NULL), the
 * second writes.  Both see the same strings in the same order, so both find
 * the same ones repeated; a collision only costs some sharing.
 */
struct packer {
	char *block;
	size_t len; /* taken so far */
	struct {
		const char *text;
		size_t len, at;
	} seen[64];
};

static uint32_t text_hash(const char *text, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * 16777619u;
	return hash ^ hash >> 16;
}

static const char *pack_text(struct packer *p, const struct text_at *at, const char *text)
{
	size_t len, slot;

	if (!*text)
		return "";
	len = text_len(at, text);
	slot = text_hash(text, len) % N_ELEMENTS(p->seen);
	if (p->seen[slot].len != len || memcmp(p->seen[slot].text, text, len) != 0) {
		p->seen[slot].text = text;
		p->seen[slot].len = len;
		p->seen[slot].at = p->len;
		if (p->block)
			memcpy(p->block + p->len, text, len);
		p->len += len;
	}
	return p->block ? p->block + p->seen[slot].at : "";
}

/* Texts of n structs at from; written to the structs at to, unless measuring. */
static void pack_texts(struct packer *p, const struct text_at *texts, size_t n_texts,
		       const char *from, char *to, size_t n, size_t item_len)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t t = 0; t < n_texts; t++) {
			const char *text =
				pack_text(p, &texts[t],
					  text_get(from + i * item_len, &texts[t]));

			if (p->block)
				text_set(to + i * item_len, &texts[t], text);
		}
	}
}

/* Head and arrays; leaves p->len at their end. */
static void pack_arrays(struct packer *p, const struct layout *layout, const void *from)
{
	p->len = layout->head_len;
	if (p->block)
		memcpy(p->block, from, layout->head_len);
	for (size_t i = 0; i < layout->n_arrays; i++) {
		const struct array_at *at = &layout->arrays[i];
		size_t n;
		const char *items = array_get(from, at, &n);
		const char *copy = p->block ? p->block + p->len : NULL;

		if (n == 0)
			copy = NULL;
		if (p->block && n > 0)
			memcpy(p->block + p->len, items, n * at->item_len);
		if (p->block)
			memcpy(p->block + at->pointer, &copy, sizeof(copy));
		p->len += n * at->item_len;
		p->len = (p->len + 7) & ~(size_t)7;
	}
}

static void pack_all(struct packer *p, const struct layout *layout, const void *from)
{
	pack_arrays(p, layout, from);
	pack_texts(p, layout->texts, layout->n_texts, from, p->block, 1,
		   layout->head_len);
	for (size_t i = 0; i < layout->n_arrays; i++) {
		const struct array_at *at = &layout->arrays[i];
		size_t n, copied;
		const char *items = array_get(from, at, &n);
		const char *copy = p->block ? array_get(p->block, at, &copied) : NULL;

		/* the block is ours to write: array_get() is for readers */
		pack_texts(p, at->texts, at->n_texts, items,
			   copy ? p->block + (copy - p->block) : NULL, n, at->item_len);
	}
}

struct object *object_pack(const struct object *from)
{
	const struct layout *layout = &layouts[from->kind];
	struct packer measure = {0}, write = {0};
	struct object *o;

	pack_all(&measure, layout, from);
	o = xcalloc(1, measure.len);
	write.block = (char *)o;
	pack_all(&write, layout, from);
	o->refs = 1;
	o->size_len = (uint32_t)measure.len;
	return o;
}

struct object *object_ref(const struct object *o)
{
	struct object *shared = (struct object *)o;

	shared->refs++;
	return shared;
}

void object_unref(struct object *o)
{
	if (o && --o->refs == 0)
		free(o);
}

static bool texts_equal(const struct text_at *texts, size_t n_texts, const void *a,
			const void *b)
{
	for (size_t i = 0; i < n_texts; i++) {
		const char *text_a = text_get(a, &texts[i]);
		const char *text_b = text_get(b, &texts[i]);
		size_t len = text_len(&texts[i], text_a);

		if (len != text_len(&texts[i], text_b) ||
		    memcmp(text_a, text_b, len) != 0)
			return false;
	}
	return true;
}

/* Everything but what the pointers in it point to. */
static bool bytes_equal(const struct text_at *texts, size_t n_texts, const char *a,
			const char *b, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < n_texts; i++) {
		if (memcmp(a + done, b + done, texts[i].offset - done) != 0)
			return false;
		done = texts[i].offset + POINTER_LEN;
	}
	return memcmp(a + done, b + done, len - done) == 0;
}

static bool arrays_equal(const struct array_at *at, const void *a, const void *b)
{
	size_t n_a, n_b;
	const char *items_a = array_get(a, at, &n_a), *items_b = array_get(b, at, &n_b);

	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		const char *item_a = items_a + i * at->item_len;
		const char *item_b = items_b + i * at->item_len;

		if (!bytes_equal(at->texts, at->n_texts, item_a, item_b, at->item_len) ||
		    !texts_equal(at->texts, at->n_texts, item_a, item_b))
			return false;
	}
	return true;
}

/* The head's own values: what it points to is compared elsewhere. */
static void head_values(const struct layout *layout, const struct object *o,
			char ret[static MAX_HEAD_LEN])
{
	memcpy(ret, o, layout->head_len);
	memset(ret + offsetof(struct object, refs), 0, sizeof(o->refs));
	memset(ret + offsetof(struct object, size_len), 0, sizeof(o->size_len));
	memset(ret + offsetof(struct object, relist), 0, sizeof(o->relist));
	for (size_t i = 0; i < layout->n_texts; i++)
		memset(ret + layout->texts[i].offset, 0, POINTER_LEN);
	for (size_t i = 0; i < layout->n_arrays; i++)
		memset(ret + layout->arrays[i].pointer, 0, POINTER_LEN);
}

bool object_equal(const struct object *a, const struct object *b)
{
	const struct layout *layout = &layouts[a->kind];
	char head_a[MAX_HEAD_LEN], head_b[MAX_HEAD_LEN];

	if (a->kind != b->kind)
		return false;
	head_values(layout, a, head_a);
	head_values(layout, b, head_b);
	if (memcmp(head_a, head_b, layout->head_len) != 0 ||
	    !texts_equal(layout->texts, layout->n_texts, a, b))
		return false;
	for (size_t i = 0; i < layout->n_arrays; i++) {
		if (!arrays_equal(&layout->arrays[i], a, b))
			return false;
	}
	return true;
}

const char *object_kind_name(enum object_kind kind)
{
	return layouts[kind].name;
}
