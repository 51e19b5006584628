/*
 * Building, comparing and sharing objects.  One table lists the pointers of every
 * kind of object, so that one walk copies any of them.  A block is a head, its
 * texts, then each array with its texts.
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
#define BASE_TEXTS(type) TEXT(type, base.ns), TEXT(type, base.name)
#define ARRAY(type, items, n, texts, n_texts)                                            \
	{                                                                                \
		offsetof(struct type, items), offsetof(struct type, n),                  \
			sizeof(*((struct type *)NULL)->items), n_texts, texts            \
	}
#define LAYOUT_OF_TEXTS(type, label, own_texts)                                          \
	{                                                                                \
		.name = label, .head_len = sizeof(struct type), .texts = own_texts,      \
		.n_texts = N_ELEMENTS(own_texts)                                         \
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
};
static const struct text_at options_texts[] = {TEXT(object_options, health_path)};
static const struct array_at service_arrays[] = {
	ARRAY(object_service, ports, n_ports, service_port_texts, 1),
	ARRAY(object_service, external_ips, n_external_ips, NULL, 0),
	ARRAY(object_service, ingress, n_ingress, NULL, 0),
	ARRAY(object_service, source_ranges, n_source_ranges, NULL, 0),
	ARRAY(object_service, labels, n_labels, NULL, 0),
	ARRAY(object_service, options, n_options, options_texts, 1),
};

static const struct text_at slice_port_texts[] = {TEXT(object_slice_port, name)};
static const struct text_at endpoint_texts[] = {TEXT(object_endpoint, node)};
static const struct text_at hints_texts[] = {
	TEXT_LIST(object_hints, zones),
	TEXT_LIST(object_hints, nodes),
};
static const struct text_at slice_texts[] = {
	BASE_TEXTS(object_slice),
	TEXT(object_slice, service),
};
static const struct array_at slice_arrays[] = {
	ARRAY(object_slice, ports, n_ports, slice_port_texts, 1),
	ARRAY(object_slice, endpoints, n_endpoints, endpoint_texts, 1),
	ARRAY(object_slice, hints, n_hints, hints_texts, 2),
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

static const struct text_at pod_texts[] = {
	BASE_TEXTS(object_pod),
	TEXT(object_pod, node),
	TEXT(object_pod, cgroup_uid),
};
static const struct text_at namespace_texts[] = {BASE_TEXTS(object_namespace)};

static const struct layout layouts[OBJECT_KIND_N] = {
	[OBJECT_SERVICE] =
		LAYOUT(object_service, "Service", service_texts, service_arrays),
	[OBJECT_SLICE] = LAYOUT(object_slice, "EndpointSlice", slice_texts, slice_arrays),
	[OBJECT_NODE] = LAYOUT(object_node, "Node", node_texts, node_arrays),
	[OBJECT_SERVICE_CIDR] = LAYOUT(object_service_cidr, "ServiceCIDR",
				       service_cidr_texts, service_cidr_arrays),
	[OBJECT_POD] = LAYOUT_OF_TEXTS(object_pod, "Pod", pod_texts),
	[OBJECT_NAMESPACE] =
		LAYOUT_OF_TEXTS(object_namespace, "Namespace", namespace_texts),
};

static const char *text_get(const void *in, const struct text_at *at)
{
	const char *text;

	memcpy(&text, (const char *)in + at->offset, sizeof(text));
	return text;
}

/* With everything that belongs to it, its last NUL too. */
static size_t text_len(const struct text_at *at, const char *text)
{
	size_t len = strlen(text) + 1;

	/* An empty list is one empty string, with nothing after it. */
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
 * One walk over an object.  Without a block it measures, then it writes.  Both
 * see the same strings in the same order, so both find the same ones repeated; a
 * collision only costs some sharing.
 */
struct packer {
	char *block;
	uintptr_t address; /* that pointers are relative to: the block's, or 0 */
	size_t len;	   /* taken so far */
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

/* Returns where the copy starts in the block. */
static size_t pack_bytes(struct packer *p, const void *bytes, size_t len)
{
	size_t at = p->len;

	if (p->block && len > 0)
		memcpy(p->block + at, bytes, len);
	p->len += len;
	return at;
}

static void set_pointer(struct packer *p, size_t at, uintptr_t to)
{
	if (p->block)
		memcpy(p->block + at, &to, sizeof(to));
}

static void pack_text(struct packer *p, const struct text_at *at, const char *text,
		      size_t pointer)
{
	static const char empty[] = "";
	size_t len, slot;

	if (!*text) {
		set_pointer(p, pointer, (uintptr_t)empty);
		return;
	}
	len = text_len(at, text);
	slot = text_hash(text, len) % N_ELEMENTS(p->seen);
	if (p->seen[slot].len != len || memcmp(p->seen[slot].text, text, len) != 0) {
		p->seen[slot].text = text;
		p->seen[slot].len = len;
		p->seen[slot].at = pack_bytes(p, text, len);
	}
	set_pointer(p, pointer, p->address + p->seen[slot].at);
}

/* Texts of the struct at from, whose copy is at to. */
static void pack_texts(struct packer *p, const struct text_at *texts, size_t n,
		       const char *from, size_t to)
{
	for (size_t i = 0; i < n; i++)
		pack_text(p, &texts[i], text_get(from, &texts[i]), to + texts[i].offset);
}

static void pack_array(struct packer *p, const struct array_at *array, const void *head)
{
	size_t n, to;
	const char *items = array_get(head, array, &n);

	p->len = (p->len + 7) & ~(size_t)7;
	to = pack_bytes(p, items, n * array->item_len);
	set_pointer(p, array->pointer, n > 0 ? p->address + to : 0);
	for (size_t i = 0; i < n; i++)
		pack_texts(p, array->texts, array->n_texts, items + i * array->item_len,
			   to + i * array->item_len);
}

/* Returns the length. */
static size_t pack(const struct object *from, char *block, uintptr_t address)
{
	const struct layout *layout = &layouts[from->kind];
	struct packer p = {.block = block, .address = address};

	(void)pack_bytes(&p, from, layout->head_len);
	pack_texts(&p, layout->texts, layout->n_texts, (const char *)from, 0);
	for (size_t i = 0; i < layout->n_arrays; i++)
		pack_array(&p, &layout->arrays[i], from);
	return p.len;
}

struct object *object_pack(const struct object *from)
{
	size_t len = pack(from, NULL, 0);
	struct object *o = xcalloc(1, len);

	(void)pack(from, (char *)o, (uintptr_t)o);
	o->refs = 1;
	o->size_len = (uint32_t)len;
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

/* A copy with offsets for pointers, without the fields that are not part of the value. */
static struct object *value_of(const struct object *o)
{
	struct object *value = xcalloc(1, o->size_len);

	(void)pack(o, (char *)value, 0);
	value->refs = value->relist = 0;
	return value;
}

bool object_equal(const struct object *a, const struct object *b)
{
	_cleanup_(freep) struct object *value_a = NULL, *value_b = NULL;

	if (a->kind != b->kind || a->size_len != b->size_len)
		return false;
	value_a = value_of(a);
	value_b = value_of(b);
	return memcmp(value_a, value_b, a->size_len) == 0;
}

const char *object_kind_name(enum object_kind kind)
{
	return layouts[kind].name;
}

const struct object_options *object_service_options(const struct object_service *s)
{
	static const struct object_options defaults = {.health_path = ""};

	return s->n_options > 0 ? s->options : &defaults;
}

const struct object_hints *object_slice_hints(const struct object_slice *s,
					      uint32_t endpoint)
{
	static const struct object_hints none = {"", ""};

	return s->n_hints > 0 ? &s->hints[endpoint] : &none;
}
