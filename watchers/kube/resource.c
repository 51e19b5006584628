#include "watchers/kube/resource.h"

#include <string.h>

#include "core/buf.h"
#include "watchers/kube/reflector.h"

static const struct resource {
	const char *path;
	const char *selector; /* already escaped */
	const char *name;
} resources[OBJECT_KIND_N] = {
/* Objects that labels hide from us are not even transferred. */
#define NOT_HIDDEN                                                                       \
	"labelSelector=!service.kubernetes.io%2Fheadless%2C"                             \
	"!service.kubernetes.io%2Fservice-proxy-name"
	[OBJECT_SERVICE] = {"/api/v1/services",
			    NOT_HIDDEN "&fieldSelector=spec.clusterIP%21%3DNone",
			    "services"},
	[OBJECT_SLICE] = {"/apis/discovery.k8s.io/v1/endpointslices", NOT_HIDDEN,
			  "endpointslices"},
	[OBJECT_NODE] = {"/api/v1/nodes", "fieldSelector=metadata.name%3D", "nodes"},
	[OBJECT_SERVICE_CIDR] = {"/apis/networking.k8s.io/v1/servicecidrs",
				 "labelSelector=", /* all */
				 "servicecidrs"},
};

const char *resource_name(enum object_kind kind)
{
	return resources[kind].name;
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
	if (kind == OBJECT_NODE)
		add_escaped(out, node_name);
	if (request->verb == REFLECTOR_LIST)
		add_list(request, out);
	else
		add_watch(request, out);
}
