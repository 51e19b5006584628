/*
 * Manifests from a compact notation, dual stack, with the names of the world.
 *
 * ports      "NAME PORT>TARGET" and any of "/TCP", "@NODEPORT"; blanks around,
 *            ";" between.  Without a protocol it stands for TCP and for UDP.
 *            "web 80>8080@3001; dns 53>53/UDP"
 * endpoints  "pod1R far2T": the name of a pod and its state.  "pod" is on this
 *            node, "far" on another.  The states:
 *              R ready   N not ready   T serving while terminating
 *              D terminating, not serving   X nothing of these
 * policy     any of "iL" (internalTrafficPolicy Local) and "eL" (external)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

struct manifest_service {
	const char *name;
	const char *type; /* NULL: ClusterIP */
	const char *ip;	  /* "svc41" */
	const char *ports;
	const char *endpoints;
	const char *policy;
	const char *external;	 /* "ext11 ext12" */
	const char *vips;	 /* "vip4 vip8": status.loadBalancer */
	const char *ip_mode;	 /* of the vips */
	const char *ranges;	 /* loadBalancerSourceRanges, as they are */
	const char *annotations; /* as they are, in one line */
	uint32_t affinity_sec;
	bool no_slices; /* not even empty ones */
};

/* The Service and its EndpointSlices as YAML documents. */
void manifest_add_service(struct buf *out, const struct manifest_service *s);
/* The Node, and ServiceCIDRs that cover every "svc". */
void manifest_add_node(struct buf *out);
