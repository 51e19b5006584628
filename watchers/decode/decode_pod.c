/*
 * v1 Pod and v1 Namespace: whether the sockets of a Pod are left to later data
 * planes, and how its cgroup is found. The API server sends only the metadata.
 */
#include <string.h>

#include "watchers/decode/decode_parts.h"

#define SOCKET_LB "sluice.io/socket-lb"
/* Of a static Pod: the kubelet's own UID for it, while the API server has another. */
#define MIRROR "kubernetes.io/config.mirror"

static uint8_t decode_socket_lb(const struct json_reader *metadata)
{
	struct json_reader notes = json_reader_object(metadata, "annotations");
	struct json_reader note = json_reader_member(&notes, SOCKET_LB);
	const char *text = note.json ? json_reader_text(&note) : NULL;

	if (!text)
		return SOCKET_LB_UNSET;
	if (strcmp(text, "disabled") == 0)
		return SOCKET_LB_DISABLED;
	if (strcmp(text, "enabled") == 0)
		return SOCKET_LB_ENABLED;
	json_reader_reject_text(&note, "%s is not enabled or disabled", text);
	return SOCKET_LB_UNSET;
}

static const char *decode_cgroup_uid(const struct json_reader *metadata, const char *uid)
{
	struct json_reader notes = json_reader_object(metadata, "annotations");
	const char *mirror = json_reader_get_text(&notes, MIRROR);
	const char *text = *mirror ? mirror : uid;

	/* it becomes a part of a path */
	return decode_is_plain(text, DECODE_MAX_LABEL) ? text : "";
}

void decode_pod(const struct json_reader *root, struct scratch *scratch,
		struct decoded *ret)
{
	struct json_reader metadata = json_reader_object(root, "metadata"), spec, status;
	struct object_pod pod;
	const char *phase;

	(void)scratch;
	memset(&pod, 0, sizeof(pod)); /* padding too: it is compared */
	pod.base.kind = OBJECT_POD;
	/* a manifest that was never in a cluster: no cgroup is named by it */
	if (!*json_reader_get_text(&metadata, "uid"))
		return;
	if (!decode_metadata(&metadata, true, &pod.base))
		return;
	spec = json_reader_object(root, "spec");
	status = json_reader_object(root, "status");
	phase = json_reader_get_text(&status, "phase");
	pod.node = decode_plain(&spec, "nodeName", DECODE_MAX_NAME);
	pod.cgroup_uid = decode_cgroup_uid(&metadata, decode_plain(&metadata, "uid",
								   DECODE_MAX_NAME));
	pod.socket_lb = decode_socket_lb(&metadata);
	pod.is_finished = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
	decode_add(ret, &pod.base);
}

void decode_namespace(const struct json_reader *root, struct scratch *scratch,
		      struct decoded *ret)
{
	struct json_reader metadata = json_reader_object(root, "metadata");
	struct object_namespace ns;

	(void)scratch;
	memset(&ns, 0, sizeof(ns)); /* padding too: it is compared */
	ns.base.kind = OBJECT_NAMESPACE;
	if (!decode_metadata(&metadata, false, &ns.base))
		return;
	ns.socket_lb = decode_socket_lb(&metadata);
	decode_add(ret, &ns.base);
}
