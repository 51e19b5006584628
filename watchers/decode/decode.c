/*
 * The table of decoders, and Lists.
 */
#include "watchers/decode/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/decode_parts.h"
#include "watchers/decode/json_text.h"
#include "watchers/decode/near_miss.h"

#define MAX_LIST_DEPTH 8 /* Lists in Lists */

struct kind {
	const char *api_version, *name;
	enum object_kind object_kind;
	bool is_own; /* not turned into another kind */
	decode_part decode;
};

static const struct kind kinds[] = {
	{"v1", "Service", OBJECT_SERVICE, true, decode_service},
	{"v1", "Endpoints", OBJECT_SLICE, false, decode_endpoints},
	{"v1", "Node", OBJECT_NODE, true, decode_node},
	{"discovery.k8s.io/v1", "EndpointSlice", OBJECT_SLICE, true, decode_slice},
	{"networking.k8s.io/v1", "ServiceCIDR", OBJECT_SERVICE_CIDR, true,
	 decode_service_cidr},
	{"v1", "Pod", OBJECT_POD, true, decode_pod},
	{"v1", "Namespace", OBJECT_NAMESPACE, true, decode_namespace},
};

/* The same for all items of a List. */
struct decoding {
	const char *source;
	const struct reject *reject;
	decode_fn fn;
	void *data;
};

void decoded_fini(struct decoded *d)
{
	for (size_t i = 0; i < d->n; i++)
		object_unref(d->objects[i]);
	d->n = 0;
}

static void run(const struct kind *kind, const json_t *json, struct json_subject *subject,
		struct decoded *ret)
{
	struct json_reader root = json_reader_root(json, subject);
	struct scratch scratch;

	subject->kind = kind->name;
	scratch_init(&scratch);
	kind->decode(&root, &scratch, ret);
	if (json_reader_is_manifest(&root))
		decode_check_fields(&root);
	scratch_fini(&scratch);
}

/* The kind ends with "List"; the rest of it is the kind of its items. */
static bool is_list_kind(const char *kind, size_t *ret_item_len)
{
	size_t len = strlen(kind);

	if (len < 4 || strcmp(kind + len - 4, "List") != 0)
		return false;
	*ret_item_len = len - 4;
	return true;
}

bool decode_is_list(const json_t *json)
{
	size_t item_len;

	return is_list_kind(json_text(json, "kind"), &item_len);
}

static const struct kind *find_kind(const char *api_version, const char *name,
				    size_t name_len)
{
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		if (strcmp(kinds[i].api_version, api_version) == 0 &&
		    strncmp(kinds[i].name, name, name_len) == 0 &&
		    kinds[i].name[name_len] == '\0')
			return &kinds[i];
	}
	return NULL;
}

/* Is this almost a kind that is read: of the same API group, and misspelled or of another version? */
static const struct kind *find_near_kind(const char *api_version, const char *name)
{
	size_t len = strcspn(api_version, "/");

	len = api_version[len] ? len + 1 : 0; /* the core group has no name */
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		const char *const names[] = {kinds[i].name, NULL};
		bool is_core = !strchr(kinds[i].api_version, '/');

		if (is_core != (len == 0) ||
		    strncmp(kinds[i].api_version, api_version, len) != 0)
			continue;
		if (strcmp(kinds[i].name, name) == 0 ||
		    (near_miss_find(name, names) &&
		     labs((long)strlen(name) - (long)strlen(kinds[i].name)) <= 1 &&
		     strncasecmp(kinds[i].name, name, 4) == 0))
			return &kinds[i];
	}
	return NULL;
}

static void report_near_kind(const json_t *json, struct json_subject *subject,
			     const char *api_version, const char *name)
{
	const struct kind *near = find_near_kind(api_version, name);
	struct json_reader root = json_reader_root(json, subject);

	if (near)
		json_reader_reject(&root, "kind %.40s of %.60s is not read; %s of %s is",
				   name, api_version, near->name, near->api_version);
}

/* list is the List that the object is an item of, or NULL. */
static int decode_one(const json_t *json, const json_t *list,
		      struct json_subject *subject, struct decoded *ret)
{
	const char *name = json_text(json, "kind"),
		   *api_version = json_text(json, "apiVersion");
	size_t name_len = strlen(name);
	const struct kind *kind;

	ret->n = 0;
	if (!*name && is_list_kind(json_text(list, "kind"), &name_len) && name_len > 0) {
		name = json_text(list, "kind");
		api_version = json_text(list, "apiVersion");
	}
	if (!*name || !*api_version) {
		struct json_reader root = json_reader_root(json, subject);

		json_reader_reject(&root, "is not a Kubernetes object: it has no %s",
				   *name ? "apiVersion" : "kind");
		return -EINVAL;
	}
	kind = find_kind(api_version, name, name_len);
	if (kind)
		run(kind, json, subject, ret);
	else if (reject_is_manifest(subject->reject))
		report_near_kind(json, subject, api_version, name);
	return 0;
}

static struct json_subject subject_of(const char *source, unsigned item,
				      const struct reject *reject)
{
	return (struct json_subject){
		.source = source,
		.item = item,
		.reject = reject,
		.kind = "",
		.ns = "",
		.name = "",
	};
}

int decode_object(const json_t *json, const char *source, const struct reject *reject,
		  struct decoded *ret)
{
	struct json_subject subject = subject_of(source, 0, reject);

	return decode_one(json, NULL, &subject, ret);
}

int decode_kind(const json_t *json, enum object_kind kind, const char *source,
		const struct reject *reject, struct decoded *ret)
{
	struct json_subject subject = subject_of(source, 0, reject);

	ret->n = 0;
	if (!json_is_object(json))
		return -EINVAL;
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		if (kinds[i].is_own && kinds[i].object_kind == kind)
			run(&kinds[i], json, &subject, ret);
	}
	return 0;
}

static int decode_tree(const struct decoding *d, const json_t *json, const json_t *list,
		       unsigned number, unsigned depth);

static int decode_list(const struct decoding *d, const json_t *json, unsigned number,
		       unsigned depth)
{
	struct json_subject subject = subject_of(d->source, number, d->reject);
	struct json_reader root = json_reader_root(json, &subject), items;
	const json_t *item;
	size_t i;

	subject.kind = json_text(json, "kind");
	if (depth >= MAX_LIST_DEPTH) {
		json_reader_reject(&root, "is nested too deeply");
		return 0;
	}
	items = json_reader_array(&root, "items");
	json_array_foreach(items.json, i, item)(void)
		decode_tree(d, item, json, (unsigned)i + 1, depth + 1);
	return 0;
}

static int decode_tree(const struct decoding *d, const json_t *json, const json_t *list,
		       unsigned number, unsigned depth)
{
	struct json_subject subject = subject_of(d->source, number, d->reject);
	struct decoded decoded = {.n = 0};
	int rc;

	if (decode_is_list(json))
		return decode_list(d, json, number, depth);
	rc = decode_one(json, list, &subject, &decoded);
	for (size_t i = 0; i < decoded.n; i++)
		d->fn(d->data, decoded.objects[i]);
	return rc;
}

int decode_any(const json_t *json, const char *source, const struct reject *reject,
	       decode_fn fn, void *data)
{
	struct decoding d = {.source = source, .reject = reject, .fn = fn, .data = data};

	return decode_tree(&d, json, NULL, 0, 0);
}

void decode_item(const json_t *json, const json_t *list, unsigned number,
		 const char *source, const struct reject *reject, decode_fn fn,
		 void *data)
{
	struct decoding d = {.source = source, .reject = reject, .fn = fn, .data = data};

	(void)decode_tree(&d, json, list, number, 1);
}

static bool has_namespace(const struct kind *kind)
{
	return kind &&
	       (kind->object_kind == OBJECT_SERVICE || kind->object_kind == OBJECT_SLICE);
}

void decode_report_duplicate(const json_t *json, const char *source, unsigned item,
			     const struct reject *reject,
			     const struct document_duplicate *duplicate)
{
	const char *kind = json_text(json, "kind");
	const json_t *metadata = json_object_get(json, "metadata");
	const char *ns = json_text(metadata, "namespace");
	const char *name = json_text(metadata, "name");
	const struct kind *found =
		find_kind(json_text(json, "apiVersion"), kind, strlen(kind));
	struct json_subject subject = subject_of(source, item, reject);
	struct json_reader root = json_reader_root(json, &subject);
	_cleanup_(freep) char *reason =
		xasprintf("line %" PRIu64
			  ": the key %%s is repeated; the last one counts",
			  duplicate->line);

	if (*kind && !decode_is_list(json) && !found)
		return;
	subject.kind = kind;
	if (*name && decode_is_plain(name, DECODE_MAX_NAME))
		subject.name = name;
	if (*name && decode_is_plain(ns, DECODE_MAX_LABEL))
		subject.ns = *ns || !has_namespace(found) ? ns : "default";
	json_reader_reject_text(&root, reason, duplicate->key);
}
