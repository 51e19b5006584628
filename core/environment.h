/*
 * Input of every sink besides the services: how local pods are detected, and
 * the marks, networks and addresses in use.  A plain value, but for the lists of
 * addresses, which are borrowed.  A change of it is sent with a full change set;
 * changes of a list that has addresses before and after, with a delta.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

#define ENVIRONMENT_MAX_SERVICE_CIDRS 32
#define ENVIRONMENT_IFNAME_LEN	      16

enum pod_detector {
	POD_DETECTOR_NONE,
	POD_DETECTOR_CIDR,   /* source address in pod_cidr of its family */
	POD_DETECTOR_BRIDGE, /* comes in by this interface */
	POD_DETECTOR_PREFIX, /* comes in by an interface with this prefix */
};

struct environment {
	enum pod_detector detector;
	bool has_pod_cidr[FAMILY_N]; /* without: no detector in that family */
	struct cidr pod_cidr[FAMILY_N];
	char ifname[ENVIRONMENT_IFNAME_LEN];
	bool masquerade_all;
	uint32_t masquerade_mark; /* one bit, 0x4000 by default */
	bool enabled[FAMILY_N];	  /* families this host can do */
	uint32_t n_service_cidrs;
	struct cidr service_cidrs[ENVIRONMENT_MAX_SERVICE_CIDRS];
	/*
	 * Where node ports are served, if at more than one address of the family,
	 * in order.  Of a single address there is no list: frontends have it.
	 */
	const struct addr *node_addresses[FAMILY_N];
	size_t n_node_addresses[FAMILY_N];
};

/* Is there a detector for this family? */
static inline bool environment_has_detector(const struct environment *e,
					    enum family family)
{
	if (e->detector == POD_DETECTOR_CIDR)
		return e->has_pod_cidr[family];
	return e->detector != POD_DETECTOR_NONE;
}
