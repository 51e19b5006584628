#include "watchers/decode/decode_parts.h"

#include <ctype.h>
#include <string.h>

#include "core/cleanup.h"
#include "watchers/object_pack.h"
#include "watchers/decode/timestamp.h"

void decode_add(struct decoded *ret, const struct object *from)
{
	if (ret->n < N_ELEMENTS(ret->objects))
		ret->objects[ret->n++] = object_pack(from);
}

bool decode_is_plain(const char *text, size_t max)
{
	size_t len = 0;

	for (; text[len]; len++) {
		if (!isalnum((unsigned char)text[len]) && !strchr("-_.", text[len]))
			return false;
	}
	return len <= max;
}

bool decode_is_name(const char *text, size_t max)
{
	return *text && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	       decode_is_plain(text, max);
}

const char *decode_plain(const struct json_reader *r, const char *key, size_t max)
{
	struct json_reader member = json_reader_member(r, key);
	const char *text = json_reader_text(&member);

	if (!text)
		return "";
	if (decode_is_plain(text, max))
		return text;
	json_reader_reject_text(&member, "%s is not a valid name", text);
	return "";
}

/* A name that may be part of a path of the API; every object needs one. */
static bool take_name(const struct json_reader *r, size_t max, const char **ret)
{
	const char *text = json_reader_text(r);

	if (!r->json || (text && !*text)) {
		json_reader_reject(r, "is missing");
		return false;
	}
	if (text && !decode_is_name(text, max)) {
		json_reader_reject_text(r, "%s is not a valid name", text);
		return false;
	}
	if (text)
		*ret = text;
	return text;
}

/* Manifests may leave the namespace out. */
static bool take_namespace(const struct json_reader *metadata, const char **ret)
{
	struct json_reader ns = json_reader_member(metadata, "namespace");

	if (!ns.json || (json_is_string(ns.json) && json_string_length(ns.json) == 0)) {
		*ret = "default";
		return true;
	}
	return take_name(&ns, DECODE_MAX_LABEL, ret);
}

int64_t decode_creation_time(const struct json_reader *metadata)
{
	const char *text = json_reader_get_text(metadata, "creationTimestamp");
	int64_t us;

	return *text && timestamp_parse(text, &us) == 0 ? us / 1000000 : 0;
}

bool decode_metadata(const struct json_reader *metadata, bool is_namespaced,
		     struct object *ret)
{
	struct json_subject *subject = metadata->subject;
	struct json_reader name = json_reader_member(metadata, "name");

	ret->ns = "";
	if (is_namespaced && !take_namespace(metadata, &ret->ns))
		return false;
	subject->ns = ret->ns;
	if (!take_name(&name, DECODE_MAX_NAME, &ret->name))
		return false;
	subject->name = ret->name;
	return true;
}

/* Any value counts, even an empty one. */
bool decode_is_hidden(const struct json_reader *metadata)
{
	const json_t *labels = json_object_get(metadata->json, "labels");

	return json_object_get(labels, "service.kubernetes.io/service-proxy-name") ||
	       json_object_get(labels, "service.kubernetes.io/headless");
}

const char *decode_label(const struct json_reader *metadata, const char *label)
{
	struct json_reader labels = json_reader_object(metadata, "labels");

	return decode_plain(&labels, label, DECODE_MAX_LABEL);
}

uint8_t decode_protocol(const struct json_reader *port)
{
	struct json_reader protocol = json_reader_member(port, "protocol");
	const char *text = json_reader_text(&protocol);
	uint8_t proto;

	if (!protocol.json)
		return IPPROTO_TCP;
	proto = text ? proto_parse(text) : 0;
	if (text && proto == 0)
		json_reader_reject_text(&protocol, "%s is not TCP, UDP or SCTP", text);
	return proto;
}

bool decode_port_name(const struct json_reader *port, const char **ret)
{
	struct json_reader member = json_reader_member(port, "name");
	const char *text = json_reader_text(&member);

	if (member.json && !text)
		return false;
	if (text && !decode_is_plain(text, DECODE_MAX_LABEL)) {
		json_reader_reject_text(&member, "%s is not a valid port name", text);
		return false;
	}
	*ret = text ? text : "";
	return true;
}

/* Without the blanks around it; NULL if that is empty or too long. */
static const char *trimmed(const char *text, char *buf, size_t buf_len)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len == 0 || len >= buf_len)
		return NULL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	return buf;
}

bool decode_address(const struct json_reader *r, struct addr *ret)
{
	const char *text = json_reader_text(r);
	char buf[2 * ADDR_TEXT_LEN];
	struct addr addr;

	if (!text)
		return false;
	text = trimmed(text, buf, sizeof(buf));
	if (!text || addr_parse(text, &addr) != 0) {
		json_reader_reject_text(r, "%s is not an IP address",
					json_string_value(r->json));
		return false;
	}
	if (addr_is_unspecified(&addr)) {
		json_reader_reject_text(r, "%s is the unspecified address", text);
		return false;
	}
	*ret = addr;
	return true;
}

static bool is_blank(const struct json_reader *r)
{
	const char *text = json_string_value(r->json);

	return !r->json || (text && text[strspn(text, " \t\r\n")] == '\0' &&
			    strlen(text) == json_string_length(r->json));
}

struct addr *decode_addresses(const struct json_reader *array, struct scratch *scratch,
			      uint32_t *ret_n)
{
	size_t n = json_reader_n(array, DECODE_MAX_ADDRESSES), used = 0;
	struct addr *list = scratch_take(scratch, n, sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(array, i);
		size_t same = 0;

		if (is_blank(&item) || !decode_address(&item, &list[used]))
			continue;
		while (!addr_equal(&list[same], &list[used]))
			same++;
		if (same == used)
			used++;
	}
	*ret_n = (uint32_t)used;
	return list;
}

struct cidr *decode_cidrs(const struct json_reader *array, struct scratch *scratch,
			  uint32_t *ret_n)
{
	size_t n = json_reader_n(array, DECODE_MAX_ADDRESSES), used = 0;
	struct cidr *list = scratch_take(scratch, n, sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(array, i);
		const char *text = is_blank(&item) ? NULL : json_reader_text(&item);
		size_t same = 0;

		if (!text)
			continue;
		if (cidr_parse(text, &list[used]) != 0) {
			json_reader_reject_text(&item, "%s is not a CIDR", text);
			continue;
		}
		while (!cidr_equal(&list[same], &list[used]))
			same++;
		if (same == used)
			used++;
	}
	*ret_n = (uint32_t)used;
	return list;
}

bool decode_is_second(const struct json_reader *r, const char *key, const char *first,
		      const char *second)
{
	struct json_reader member = json_reader_member(r, key);
	const char *text = json_reader_text(&member);

	if (!text || !*text || strcmp(text, first) == 0)
		return false;
	if (strcmp(text, second) == 0)
		return true;
	json_reader_reject_text(&member, "%s is unknown", text);
	return false;
}
