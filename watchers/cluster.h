/*
 * The objects of the cluster as last seen, whoever told (files, API server),
 * and which Services must be planned again because of what changed.  Slices
 * are indexed by their Service; cost is that of what changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/objects.h"

struct cluster;

/* The Node of this name is ours; others are ignored. */
struct cluster *cluster_new(const char *node_name);
void cluster_free(struct cluster *c);

/* Takes the reference. An object equal to what is there changes nothing. Answers whether it changed. */
bool cluster_put(struct cluster *c, struct object *object);
/* Unknown ones are no error. */
bool cluster_del(struct cluster *c, enum object_kind kind, const char *ns,
		 const char *name);

/*
 * A relist of one kind: begin, put all, end; objects not put in between go.
 * One that is not ended takes nothing away; beginning again starts over.
 */
void cluster_begin_replace(struct cluster *c, enum object_kind kind);
/* This object is listed, but unreadable: a replace keeps its last good version. */
void cluster_keep(struct cluster *c, enum object_kind kind, const char *ns,
		  const char *name);
void cluster_end_replace(struct cluster *c, enum object_kind kind);

/* Ours as last seen, also after it was deleted; NULL: never. */
const struct object_node *cluster_node(const struct cluster *c);
const struct object_service *cluster_service(const struct cluster *c, const char *ns,
					     const char *name);
size_t cluster_n(const struct cluster *c, enum object_kind kind);

/*
 * The slices that count for a Service, sorted by name: the real ones, or the
 * mirrors of its Endpoints when it has no real one.  The caller frees the
 * array, not the slices.
 */
const struct object_slice **cluster_slices(const struct cluster *c, const char *ns,
					   const char *service, size_t *ret_n);

/* All ServiceCIDRs joined, duplicates removed, sorted. Returns how many were written. */
size_t cluster_service_cidrs(const struct cluster *c, struct cidr *ret, size_t max);

/* The Node (zone, addresses, pod CIDRs) or the ServiceCIDRs changed since last asked. */
bool cluster_take_node_change(struct cluster *c);
bool cluster_take_service_cidr_change(struct cluster *c);

/* Everything must be planned again (options or node changed). */
void cluster_mark_all(struct cluster *c);

/*
 * Takes the next Service name to plan again (also for one that is gone), oldest
 * first by creation time and name on the first round.  The strings stay valid
 * until the next call; false when there is none.
 */
bool cluster_take_dirty(struct cluster *c, const char **ret_ns, const char **ret_name);
size_t cluster_n_dirty(const struct cluster *c);

/* Every Service in key order; the caller frees the array. */
const struct object_service **cluster_services(const struct cluster *c, size_t *ret_n);

/*
 * Trigger times (trigger_us) of slices put since the last call, for metrics; at
 * most max are written, the rest is dropped.  Only so many are kept, and none
 * from before since_us: what changed before we started isn't our delay.
 */
size_t cluster_take_triggers(struct cluster *c, int64_t *ret, size_t max);
void cluster_set_triggers_since(struct cluster *c, int64_t since_us);
