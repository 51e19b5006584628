/*
 * discovery.k8s.io/v1 EndpointSlice, as kube-proxy reads it: an endpoint is its
 * first address, and missing conditions are the good ones.
 */
#include "watchers/decode/decode_parts.h"

#include <string.h>

#include "core/cleanup.h"
#include "watchers/decode/timestamp.h"

int64_t decode_trigger_time(const struct json_reader *metadata)
{
	struct json_reader notes = json_reader_object(metadata, "annotations");
	const char *text =
		json_reader_get_text(&notes,
				     "endpoints.kubernetes.io/last-change-trigger-time");
	int64_t us;

	return *text && timestamp_parse(text, &us) == 0 && us > 0 ? us : 0;
}

static bool decode_port(const struct json_reader *r, bool needs_name,
			struct object_slice_port *ret)
{
	struct json_reader name = json_reader_member(r, "name");
	struct json_reader port = json_reader_member(r, "port");
	int64_t number;

	if (needs_name && !name.json) {
		json_reader_reject(&name,
				   "is missing, so the port is ignored; for a "
				   "Service port without a name, write name: \"\"");
		return false;
	}
	if (!port.json) {
		json_reader_reject(&port, "is missing, so the port is ignored");
		return false;
	}
	if (!decode_port_name(r, &ret->name) ||
	    !json_reader_number(&port, 1, UINT16_MAX, &number))
		return false;
	ret->port = (uint16_t)number;
	ret->proto = decode_protocol(r);
	return ret->proto != 0;
}

void decode_slice_ports(const struct json_reader *r, bool needs_name,
			struct scratch *scratch, struct object_slice *slice)
{
	struct json_reader array = json_reader_array(r, "ports");
	size_t n = json_reader_n(&array, DECODE_MAX_PORTS);
	struct object_slice_port *list = scratch_take(scratch, n, sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(&array, i);

		if (decode_port(&item, needs_name, &list[slice->n_ports]))
			slice->n_ports++;
	}
	slice->ports = list;
}

/* hints.forZones or hints.forNodes as "a\0b\0\0". */
static const char *decode_hints(const struct json_reader *hints, const char *key,
				struct scratch *scratch)
{
	struct json_reader array = json_reader_array(hints, key);
	size_t n = json_reader_n(&array, DECODE_MAX_HINTS), len = 0;
	const char *names[DECODE_MAX_HINTS];
	char *list, *at;

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(&array, i);

		names[i] = decode_plain(&item, "name", DECODE_MAX_NAME);
		len += strlen(names[i]) + 1;
	}
	if (len == n)
		return "";
	at = list = scratch_take(scratch, len + 1, 1);
	for (size_t i = 0; i < n; i++) {
		if (*names[i])
			at = stpcpy(at, names[i]) + 1;
	}
	return list;
}

static const struct {
	const char *key;
	bool when_missing;
	uint8_t flag;
} conditions[] = {
	{"ready", true, OBJECT_ENDPOINT_READY},
	{"serving", true, OBJECT_ENDPOINT_SERVING},
	{"terminating", false, OBJECT_ENDPOINT_TERMINATING},
};

static bool decode_endpoint(const struct json_reader *r, enum family family,
			    struct object_endpoint *ret)
{
	struct json_reader addresses = json_reader_array(r, "addresses");
	struct json_reader first = json_reader_item(&addresses, 0);
	struct json_reader states = json_reader_object(r, "conditions");

	if (!first.json) {
		json_reader_reject(&addresses, "has no address");
		return false;
	}
	if (!decode_address(&first, &ret->addr))
		return false;
	if (addr_family(&ret->addr) != family) {
		json_reader_reject(&first, "is not an %s address, as addressType says",
				   family_name(family));
		return false;
	}
	ret->flags = 0;
	for (size_t i = 0; i < N_ELEMENTS(conditions); i++) {
		if (json_reader_get_bool(&states, conditions[i].key,
					 conditions[i].when_missing))
			ret->flags |= conditions[i].flag;
	}
	ret->node = decode_plain(r, "nodeName", DECODE_MAX_NAME);
	return true;
}

static struct object_hints decode_endpoint_hints(const struct json_reader *r,
						 struct scratch *scratch)
{
	struct json_reader hints = json_reader_object(r, "hints");

	return (struct object_hints){
		.zones = decode_hints(&hints, "forZones", scratch),
		.nodes = decode_hints(&hints, "forNodes", scratch),
	};
}

static void decode_slice_endpoints(const struct json_reader *root,
				   struct scratch *scratch, struct object_slice *slice)
{
	struct json_reader array = json_reader_array(root, "endpoints");
	size_t n = json_reader_n(&array, DECODE_MAX_ENDPOINTS);
	struct object_endpoint *list = scratch_take(scratch, n, sizeof(*list));
	struct object_hints *hints = scratch_take(scratch, n, sizeof(*hints)), *of;
	bool has_hints = false;

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(&array, i);

		if (!decode_endpoint(&item, slice->family, &list[slice->n_endpoints]))
			continue;
		of = &hints[slice->n_endpoints++];
		*of = decode_endpoint_hints(&item, scratch);
		has_hints = has_hints || *of->zones || *of->nodes;
	}
	slice->endpoints = list;
	slice->hints = hints;
	slice->n_hints = has_hints ? slice->n_endpoints : 0;
}

/* False, in a manifest with a report, for names and for unknown types. */
static bool decode_address_type(const struct json_reader *root, uint8_t *ret)
{
	struct json_reader member = json_reader_member(root, "addressType");
	const char *text = json_reader_text(&member);
	enum family family;

	if (text && family_parse(text, &family)) {
		*ret = (uint8_t)family;
		return true;
	}
	if (!member.json)
		json_reader_reject(&member, "is missing");
	else if (text && strcmp(text, "FQDN") != 0)
		json_reader_reject_text(&member, "%s is not a type of address", text);
	else if (text && json_reader_is_manifest(root))
		json_reader_reject(&member, "FQDN is not supported: endpoints need "
					    "addresses, of type IPv4 or IPv6");
	return false;
}

void decode_slice(const struct json_reader *root, struct scratch *scratch,
		  struct decoded *ret)
{
	struct json_reader metadata = json_reader_object(root, "metadata");
	struct json_reader labels, service;
	struct object_slice slice;

	memset(&slice, 0, sizeof(slice)); /* padding too: it is compared */
	slice.base.kind = OBJECT_SLICE;
	if (!decode_metadata(&metadata, true, &slice.base) ||
	    !decode_address_type(root, &slice.family))
		return;
	labels = json_reader_object(&metadata, "labels");
	service = json_reader_member(&labels, "kubernetes.io/service-name");
	slice.service =
		decode_plain(&labels, "kubernetes.io/service-name", DECODE_MAX_NAME);
	if (!service.json)
		json_reader_reject(&service, "is missing: it names the Service");
	if (!*slice.service)
		return;
	slice.is_hidden = decode_is_hidden(&metadata);
	slice.trigger_us = decode_trigger_time(&metadata);
	decode_slice_ports(root, true, scratch, &slice);
	decode_slice_endpoints(root, scratch, &slice);
	decode_add(ret, &slice.base);
}
