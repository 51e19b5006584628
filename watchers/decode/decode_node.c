/*
 * v1 Node and networking.k8s.io/v1 ServiceCIDR: the fields that a proxy on one
 * node uses.
 */
#include "watchers/decode/decode_parts.h"

#include <string.h>

#include "core/cleanup.h"

#define AUTOSCALER_TAINT "ToBeDeletedByClusterAutoscaler"

static bool has_taint(const struct json_reader *spec, const char *key)
{
	struct json_reader taints = json_reader_array(spec, "taints");
	size_t n = json_reader_n(&taints, DECODE_MAX_ADDRESSES);

	for (size_t i = 0; i < n; i++) {
		struct json_reader taint = json_reader_item(&taints, i);

		if (strcmp(json_reader_get_text(&taint, "key"), key) == 0)
			return true;
	}
	return false;
}

/* podCIDRs; podCIDR when there is no list of them. */
static void decode_pod_cidrs(const struct json_reader *spec, struct scratch *scratch,
			     struct object_node *node)
{
	struct json_reader list = json_reader_array(spec, "podCIDRs");
	struct json_reader lone = json_reader_member(spec, "podCIDR");
	const char *text;
	struct cidr *cidr;

	node->pod_cidrs = decode_cidrs(&list, scratch, &node->n_pod_cidrs);
	text = json_array_size(list.json) == 0 ? json_reader_text(&lone) : NULL;
	if (!text || !*text)
		return;
	cidr = scratch_take(scratch, 1, sizeof(*cidr));
	if (cidr_parse(text, cidr) != 0) {
		json_reader_reject_text(&lone, "%s is not a CIDR", text);
		return;
	}
	node->pod_cidrs = cidr;
	node->n_pod_cidrs = 1;
}

/* InternalIP before ExternalIP. */
static void decode_node_addresses(const struct json_reader *root, struct scratch *scratch,
				  struct object_node *node)
{
	struct json_reader status = json_reader_object(root, "status");
	struct json_reader array = json_reader_array(&status, "addresses");
	size_t n = json_reader_n(&array, DECODE_MAX_ADDRESSES), n_internal = 0;
	struct addr *list = scratch_take(scratch, n, sizeof(*list)), addr;

	for (size_t i = 0; i < n; i++) {
		struct json_reader item = json_reader_item(&array, i);
		struct json_reader address = json_reader_member(&item, "address");
		const char *type = json_reader_get_text(&item, "type");
		bool is_internal = strcmp(type, "InternalIP") == 0;
		size_t at = is_internal ? n_internal : node->n_addresses;

		if (strcmp(type, "Hostname") == 0)
			node->hostname = decode_plain(&item, "address", DECODE_MAX_NAME);
		if ((!is_internal && strcmp(type, "ExternalIP") != 0) ||
		    !decode_address(&address, &addr))
			continue;
		memmove(list + at + 1, list + at,
			(node->n_addresses - at) * sizeof(*list));
		list[at] = addr;
		n_internal += is_internal;
		node->n_addresses++;
	}
	node->addresses = list;
}

void decode_node(const struct json_reader *root, struct scratch *scratch,
		 struct decoded *ret)
{
	struct json_reader metadata = json_reader_object(root, "metadata");
	struct json_reader spec;
	struct object_node node;

	memset(&node, 0, sizeof(node)); /* padding too: it is compared */
	node.base.kind = OBJECT_NODE;
	if (!decode_metadata(&metadata, false, &node.base))
		return;
	node.zone = decode_label(&metadata, "topology.kubernetes.io/zone");
	node.hostname = decode_label(&metadata, "kubernetes.io/hostname");
	node.is_deleting =
		json_object_get(metadata.json, "deletionTimestamp") &&
		!json_is_null(json_object_get(metadata.json, "deletionTimestamp"));
	spec = json_reader_object(root, "spec");
	node.is_to_be_deleted = has_taint(&spec, AUTOSCALER_TAINT);
	decode_pod_cidrs(&spec, scratch, &node);
	decode_node_addresses(root, scratch, &node);
	decode_add(ret, &node.base);
}

void decode_service_cidr(const struct json_reader *root, struct scratch *scratch,
			 struct decoded *ret)
{
	struct json_reader metadata = json_reader_object(root, "metadata");
	struct json_reader spec, cidrs;
	struct object_service_cidr object;

	memset(&object, 0, sizeof(object)); /* padding too: it is compared */
	object.base.kind = OBJECT_SERVICE_CIDR;
	if (!decode_metadata(&metadata, false, &object.base))
		return;
	spec = json_reader_object(root, "spec");
	cidrs = json_reader_array(&spec, "cidrs");
	object.cidrs = decode_cidrs(&cidrs, scratch, &object.n_cidrs);
	decode_add(ret, &object.base);
}
