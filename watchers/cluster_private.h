/*
 * What cluster*.c share.  Services hang in their subjects (which also index the
 * slices by Service), slices and ServiceCIDRs in hash tables by name, of Nodes
 * only ours is kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"
#include "watchers/cluster.h"
#include "watchers/relist.h"
#include "watchers/subjects.h"
#include "watchers/triggers.h"

struct cluster {
	char *node_name;
	struct subjects subjects;
	size_t n_services;
	struct hash slices, service_cidrs; /* of objects, owned */
	struct object *node;		   /* ours */
	bool node_changed, service_cidrs_changed;
	struct relist relists[OBJECT_KIND_N];
	struct triggers triggers;
};
