/*
 * v1 Endpoints, turned into the slices that the endpointslice mirroring
 * controller would make of them: one for each subset (its ports belong to its
 * addresses alone) and family.  Their names have a ':', which no real slice
 * has, and stay the same as long as the subset stays where it is.
 */
#include "watchers/decode/decode_parts.h"

#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"

#define MAX_SUBSETS (DECODED_MAX_OBJECTS / FAMILY_N)

struct endpoint_list {
	struct object_endpoint *endpoints;
	uint32_t n;
};

/* Not the lock of a leader election, and not if the label says that slices are made by other means. */
static bool is_mirrored(const struct json_reader *metadata)
{
	const json_t *notes = json_object_get(metadata->json, "annotations");
	const char *skip =
		decode_label(metadata, "endpointslice.kubernetes.io/skip-mirror");

	return strcmp(skip, "true") != 0 &&
	       !json_object_get(notes, "control-plane.alpha.kubernetes.io/leader");
}

static void take_addresses(const struct json_reader *subset, const char *key,
			   uint8_t flags, struct scratch *scratch,
			   struct endpoint_list lists[FAMILY_N])
{
	struct json_reader array = json_reader_array(subset, key);
	size_t n = json_reader_n(&array, DECODE_MAX_ENDPOINTS);
	struct object_endpoint *grown;

	for (size_t f = 0; f < FAMILY_N; f++) {
		grown = scratch_take(scratch, lists[f].n + n, sizeof(*grown));
		if (lists[f].n > 0)
			memcpy(grown, lists[f].endpoints, lists[f].n * sizeof(*grown));
		lists[f].endpoints = grown;
	}
	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(&array, i);
		struct json_reader ip = json_reader_member(&item, "ip");
		struct object_endpoint *endpoint;
		struct addr addr;

		if (!ip.json)
			json_reader_reject(&ip, "is missing");
		if (!decode_address(&ip, &addr))
			continue;
		endpoint = &lists[addr_family(&addr)]
				    .endpoints[lists[addr_family(&addr)].n++];
		endpoint->addr = addr;
		endpoint->flags = flags;
		endpoint->node = decode_plain(&item, "nodeName", DECODE_MAX_NAME);
	}
}

static void decode_subset(const struct json_reader *subset, size_t index,
			  struct scratch *scratch, struct object_slice *slice,
			  struct decoded *ret)
{
	struct endpoint_list lists[FAMILY_N] = {0};
	char name[DECODE_MAX_NAME + 32];

	slice->n_ports = 0;
	decode_slice_ports(subset, false, scratch, slice);
	take_addresses(subset, "addresses",
		       OBJECT_ENDPOINT_READY | OBJECT_ENDPOINT_SERVING, scratch, lists);
	take_addresses(subset, "notReadyAddresses", OBJECT_ENDPOINT_SERVING, scratch,
		       lists);
	for (enum family family = 0; family < FAMILY_N; family++) {
		if (lists[family].n == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s:%s:%zu", slice->service,
			       family_name(family), index);
		slice->base.name = name;
		slice->family = (uint8_t)family;
		slice->endpoints = lists[family].endpoints;
		slice->n_endpoints = lists[family].n;
		decode_add(ret, &slice->base);
	}
}

void decode_endpoints(const struct json_reader *root, struct scratch *scratch,
		      struct decoded *ret)
{
	struct json_reader metadata = json_reader_object(root, "metadata");
	struct json_reader subsets;
	struct object_slice slice;
	size_t n;

	memset(&slice, 0, sizeof(slice)); /* padding too: it is compared */
	slice.base.kind = OBJECT_SLICE;
	if (!decode_metadata(&metadata, true, &slice.base) || !is_mirrored(&metadata))
		return;
	slice.service = slice.base.name;
	slice.is_mirror = true;
	slice.is_hidden = decode_is_hidden(&metadata);
	slice.trigger_us = decode_trigger_time(&metadata);
	subsets = json_reader_array(root, "subsets");
	n = json_reader_n(&subsets, MAX_SUBSETS);
	for (size_t i = 0; i < n; i++) {
		struct json_reader subset = json_reader_item(&subsets, i);

		decode_subset(&subset, i, scratch, &slice, ret);
	}
}
