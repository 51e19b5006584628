/*
 * Shared by cluster*.c only.  The index has the Services and the slices of each;
 * slices and ServiceCIDRs are also in hash tables by name.  Of the Nodes only
 * ours is kept.
 *
 * A relist is a mark and sweep: each has a number, which the objects put during
 * it carry.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"
#include "watchers/causes.h"
#include "watchers/cluster.h"
#include "watchers/service_index.h"
#include "watchers/triggers.h"

struct cluster {
	char *node_name;
	struct service_index index;
	size_t n_services;
	struct hash slices, service_cidrs, pods, namespaces; /* of objects, owned */
	struct object *node;				     /* ours */
	bool node_changed, service_cidrs_changed, pods_changed;
	uint32_t relists[OBJECT_KIND_N]; /* number of the running relist; 0: none */
	uint32_t n_relists;
	struct triggers triggers;
	struct causes causes;
};
