#include "watchers/kube/resource.h"

#include <string.h>

#include "core/buf.h"
#include "watchers/kube/reflector.h"

static const struct resource {
	const char *path;
	const char *selector; /* already escaped */
	const char *name;
	const char *node_at; /* the node's name is added after the selector, then this */
	bool is_metadata;    /* nothing else of the objects is needed */
} resources[OBJECT_KIND_N] = {
/* Objects that labels hide from us are not even transferred. */
#define NOT_HIDDEN                                                                       \
	"labelSelector=!service.kubernetes.io%2Fheadless%2C"                             \
	"!service.kubernetes.io%2Fservice-proxy-name"
	[OBJECT_SERVICE] = {"/api/v1/services",
			    NOT_HIDDEN "&fieldSelector=spec.clusterIP%21%3DNone",
			    "services", NULL, false},
	[OBJECT_SLICE] = {"/apis/discovery.k8s.io/v1/endpointslices", NOT_HIDDEN,
			  "endpointslices", NULL, false},
	[OBJECT_NODE] = {"/api/v1/nodes", "fieldSelector=metadata.name%3D", "nodes",
			 .node_at = ""},
	[OBJECT_SERVICE_CIDR] = {"/apis/networking.k8s.io/v1/servicecidrs",
				 "labelSelector=", /* all */
				 "servicecidrs", NULL, false},
	[OBJECT_POD] = {"/api/v1/pods", "fieldSelector=spec.nodeName%3D", "pods",
			.node_at = "%2Cstatus.phase%21%3DSucceeded"
				   "%2Cstatus.phase%21%3DFailed",
			.is_metadata = true},
	[OBJECT_NAMESPACE] = {"/api/v1/namespaces", "labelSelector=", /* all */
			      "namespaces", .is_metadata = true},
};

const char *resource_name(enum object_kind kind)
{
	return resources[kind].name;
}

const char *resource_accept(enum object_kind kind, bool is_list)
{
	if (!resources[kind].is_metadata)
		return NULL;
	return is_list ? "application/"
			 "json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
		       : "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
}

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("-._~", *text) || (*text >= '0' && *text <= '9') ||
		    (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z'))
			buf_add_char(out, *text);
		else
			buf_printf(out, "%%%02X", (unsigned char)*text);
	}
}

static void add_list(const struct reflector_request *r, struct buf *out)
{
	bool goes_on = *r->continue_token;

	if (r->limit)
		buf_printf(out, "&limit=%u", r->limit);
	buf_add_string(out, goes_on ? "&continue=" : "&resourceVersion=");
	add_escaped(out, goes_on ? r->continue_token : r->resource_version);
}

static void add_watch(const struct reflector_request *r, struct buf *out)
{
	buf_printf(out, "&watch=true&allowWatchBookmarks=true&timeoutSeconds=%u",
		   r->timeout_sec);
	if (r->verb == REFLECTOR_WATCHLIST)
		buf_add_string(
			out, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
	buf_add_string(out, "&resourceVersion=");
	add_escaped(out, r->resource_version);
}

void resource_format_path(enum object_kind kind, const char *node_name,
			  const struct reflector_request *request, struct buf *out)
{
	const struct resource *resource = &resources[kind];

	buf_printf(out, "%s?%s", resource->path, resource->selector);
	if (resource->node_at) {
		add_escaped(out, node_name);
		buf_add_string(out, resource->node_at);
	}
	if (request->verb == REFLECTOR_LIST)
		add_list(request, out);
	else
		add_watch(request, out);
}
