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

/* cluster_kinds.c */
struct cluster_kind {
	/* Takes the object; true: it differs from the known one. */
	bool (*put)(struct cluster *c, struct object *o);
	/* True: it was known. The strings may be those of the object. */
	bool (*del)(struct cluster *c, const char *ns, const char *name);
};
extern const struct cluster_kind cluster_kinds[OBJECT_KIND_N];

/* Services are in the index, and the Node is never swept: NULL. */
struct hash *cluster_table(struct cluster *c, enum object_kind kind);
struct object *cluster_find(struct cluster *c, enum object_kind kind, const char *ns,
			    const char *name);
/* It is in the cluster, and was put by the relist that may be running. */
void cluster_mark_put(const struct cluster *c, struct object *o);
