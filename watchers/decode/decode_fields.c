/*
 * Fields that are almost, but not quite, those of the API.  An API server drops
 * them or refuses the object; in a manifest they would be ignored silently.
 * Fields that are similar to none are left alone: they may be newer than we are.
 */
#include <string.h>

#include "core/cleanup.h"
#include "watchers/decode/decode_parts.h"
#include "watchers/decode/near_miss.h"

#define TOP "apiVersion", "kind", "metadata"

static const char *const metadata[] = {"name", "namespace", "labels", "annotations",
				       NULL};
static const char *const service[] = {TOP, "spec", "status", NULL};
static const char *const service_spec[] = {"allocateLoadBalancerNodePorts",
					   "clusterIP",
					   "clusterIPs",
					   "externalIPs",
					   "externalName",
					   "externalTrafficPolicy",
					   "healthCheckNodePort",
					   "internalTrafficPolicy",
					   "ipFamilies",
					   "ipFamilyPolicy",
					   "loadBalancerClass",
					   "loadBalancerIP",
					   "loadBalancerSourceRanges",
					   "ports",
					   "publishNotReadyAddresses",
					   "selector",
					   "sessionAffinity",
					   "sessionAffinityConfig",
					   "topologyKeys",
					   "trafficDistribution",
					   "type",
					   NULL};
static const char *const service_port[] = {"appProtocol", "name",     "nodePort",
					   "port",	  "protocol", "targetPort",
					   NULL};
static const char *const slice[] = {TOP, "addressType", "endpoints", "ports", NULL};
static const char *const slice_endpoint[] = {
	"addresses", "conditions", "deprecatedTopology",
	"hints",     "hostname",   "nodeName",
	"targetRef", "zone",	   NULL};
static const char *const conditions[] = {"ready", "serving", "terminating", NULL};
static const char *const slice_port[] = {"appProtocol", "name", "port", "protocol", NULL};
static const char *const endpoints[] = {TOP, "subsets", NULL};
static const char *const subset[] = {"addresses", "notReadyAddresses", "ports", NULL};

/* path: "spec.ports[]" are the items of spec.ports. */
static const struct {
	const char *kind, *path;
	const char *const *names;
} places[] = {
	{"Service", "", service},
	{"Service", "metadata", metadata},
	{"Service", "spec", service_spec},
	{"Service", "spec.ports[]", service_port},
	{"EndpointSlice", "", slice},
	{"EndpointSlice", "metadata", metadata},
	{"EndpointSlice", "endpoints[]", slice_endpoint},
	{"EndpointSlice", "endpoints[].conditions", conditions},
	{"EndpointSlice", "ports[]", slice_port},
	{"Endpoints", "", endpoints},
	{"Endpoints", "metadata", metadata},
	{"Endpoints", "subsets[]", subset},
	{"Endpoints", "subsets[].ports[]", slice_port},
};

static void check_object(const struct json_reader *r, const char *const *names)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(void *)(uintptr_t)r->json, key, value)
	{
		const char *near = near_miss_find(key, names);

		if (near) {
			struct json_reader member = json_reader_member(r, key);

			json_reader_reject(&member, "is not a field; %s is", near);
		}
	}
}

static void check_at(const struct json_reader *r, const char *path,
		     const char *const *names)
{
	char key[32];
	const char *end = strpbrk(path, ".[");
	size_t len = end ? (size_t)(end - path) : strlen(path);
	struct json_reader member;

	if (!*path) {
		if (json_is_object(r->json))
			check_object(r, names);
		return;
	}
	memcpy(key, path, len);
	key[len] = '\0';
	member = json_reader_member(r, key);
	if (!end || *end == '.') {
		check_at(&member, end ? end + 1 : "", names);
		return;
	}
	end += strlen("[]");
	for (size_t i = 0; i < json_array_size(member.json); i++) {
		struct json_reader item = json_reader_item(&member, i);

		check_at(&item, *end == '.' ? end + 1 : end, names);
	}
}

void decode_check_fields(const struct json_reader *root)
{
	for (size_t i = 0; i < N_ELEMENTS(places); i++)
		if (strcmp(places[i].kind, root->subject->kind) == 0)
			check_at(root, places[i].path, places[i].names);
}
