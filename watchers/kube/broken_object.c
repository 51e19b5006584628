/*
 * Reads the names of an object of which only the first bytes are at hand, or
 * whose rest is not valid.  Only direct members of "metadata" count: a label
 * may be called "name" as well.
 */
#include "watchers/kube/broken_object.h"

#include <string.h>

#define SPACE " \t\r\n"

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && *p && strchr(SPACE, *p))
		p++;
	return p;
}

/* p is after a quote; the position of the closing one, or end. */
static const char *find_quote(const char *p, const char *end)
{
	for (; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p;
}

/* The value of this member of the object that starts at p; NULL if not found. */
static const char *find_member(const char *p, const char *end, const char *key)
{
	size_t depth = 0, key_len = strlen(key);

	for (; p && p < end; p++) {
		const char *text = p + 1, *after;

		if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth == 0)
			return NULL;
		if (depth == 0)
			return NULL; /* not an object */
		if (*p != '"')
			continue;
		p = find_quote(text, end);
		if (p == end)
			return NULL;
		after = skip_space(p + 1, end);
		if (depth == 1 && (size_t)(p - text) == key_len &&
		    !memcmp(text, key, key_len) && after < end && *after == ':')
			return skip_space(after + 1, end);
	}
	return NULL;
}

/* A string of the characters that names have; else "". */
static void copy_name(const char *text, const char *end, char *ret, size_t max)
{
	size_t len;

	*ret = 0;
	if (!text || text == end || *text++ != '"')
		return;
	len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.");
	if (text + len >= end || text[len] != '"' || len >= max)
		return;
	memcpy(ret, text, len);
	ret[len] = 0;
}

void broken_object_find(const char *bytes, size_t len, struct broken_object *ret)
{
	const char *end = bytes + len;
	const char *object = find_member(bytes, end, "object");
	const char *metadata = find_member(object ? object : bytes, end, "metadata");

	copy_name(find_member(metadata, end, "name"), end, ret->name, sizeof(ret->name));
	copy_name(find_member(metadata, end, "namespace"), end, ret->ns, sizeof(ret->ns));
}

void broken_object_reject(const struct broken_object *broken, enum object_kind kind,
			  const struct reject *reject, const char *why)
{
	const struct rejection rejection = {
		.source = "API server",
		.kind = object_kind_name(kind),
		.ns = broken->ns,
		.name = broken->name,
		.field = "",
		.reason = why,
	};

	reject_begin(reject, rejection.kind, broken->ns, broken->name);
	reject_call(reject, &rejection);
	reject_end(reject);
}
