/*
 * API servers write kind and apiVersion before the metadata, and its name and
 * namespace first in there.  A string can't pretend to be that: the quotes
 * inside of one are escaped.
 */
#include "watchers/kube/broken_object.h"

#include <string.h>

#include "watchers/decode/decode.h"

#define LABEL_MAX_LEN 63
#define NAME_MAX_LEN  253

/* Behind the first occurrence of text, or NULL. */
static const char *find_behind(const char *bytes, const char *end, const char *text)
{
	size_t len = strlen(text);
	const char *found =
		bytes ? memmem(bytes, (size_t)(end - bytes), text, len) : NULL;

	return found ? found + len : NULL;
}

/* The plain text up to the next quote; "" when it is not that. */
static void copy_plain(const char *text, const char *end, char *ret, size_t max_len)
{
	const char *quote = text ? memchr(text, '"', (size_t)(end - text)) : NULL;
	size_t len = quote ? (size_t)(quote - text) : 0;

	*ret = 0;
	if (!len || len > max_len)
		return;
	memcpy(ret, text, len);
	ret[len] = 0;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", ret[i]) || !ret[i])
			*ret = 0;
}

void broken_object_tell(const struct reject *reject, enum object_kind kind,
			const char *bytes, size_t len, const char *why)
{
	const char *end = bytes + len;
	const char *metadata = find_behind(bytes, end, "\"metadata\":{");
	char ns[LABEL_MAX_LEN + 1], name[NAME_MAX_LEN + 1];
	const struct rejection rejection = {
		.source = "API server",
		.kind = object_kind_name(kind),
		.ns = ns,
		.name = name,
		.field = "",
		.reason = why,
	};

	copy_plain(find_behind(metadata, end, "\"name\":\""), end, name, NAME_MAX_LEN);
	copy_plain(find_behind(metadata, end, "\"namespace\":\""), end, ns,
		   LABEL_MAX_LEN);
	reject_begin(reject, rejection.kind, ns, name);
	reject_call(reject, &rejection);
	reject_end(reject);
}
