/*
 * The objects of the cluster, from files or the API server, and the Services
 * that must be planned again because an object changed.  Slices are indexed by
 * their Service, so the cost of a change does not grow with the cluster.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/objects.h"

struct cluster;

/* The Node of this name is ours; others are ignored. */
struct cluster *cluster_new(const char *node_name);
void cluster_free(struct cluster *c);

/* Takes the reference. Returns whether the object differs from the previous one. */
bool cluster_put(struct cluster *c, struct object *object);
/* Returns whether there was such an object. */
bool cluster_del(struct cluster *c, enum object_kind kind, const char *ns,
		 const char *name);

/*
 * A relist of one kind: start it, put all, end it; the end removes the objects that
 * were not put.  A second start of a relist cancels the first.
 */
void cluster_begin_replace(struct cluster *c, enum object_kind kind);
/* This object is listed, but unreadable: a replace keeps its last good version. */
void cluster_keep(struct cluster *c, enum object_kind kind, const char *ns,
		  const char *name);
void cluster_end_replace(struct cluster *c, enum object_kind kind);

/* Ours as last seen, also after its deletion; NULL if it was never seen. */
const struct object_node *cluster_node(const struct cluster *c);
const struct object_service *cluster_service(const struct cluster *c, const char *ns,
					     const char *name);
size_t cluster_n(const struct cluster *c, enum object_kind kind);

/*
 * The slices of a Service, sorted by name: the real ones, or the mirrors of its
 * Endpoints if it has no real one.  The caller frees the
 * array, not the slices.
 */
const struct object_slice **cluster_slices(const struct cluster *c, const char *ns,
					   const char *service, size_t *ret_n);

/* All ServiceCIDRs joined, duplicates removed, sorted. Returns how many were written. */
size_t cluster_service_cidrs(const struct cluster *c, struct cidr *ret, size_t max);

/* The Node (zone, addresses, pod CIDRs) or the ServiceCIDRs changed since the last call. */
bool cluster_take_node_change(struct cluster *c);
bool cluster_take_service_cidr_change(struct cluster *c);

/* A Pod or Namespace changed since the last call. */
bool cluster_take_pod_change(struct cluster *c);
/*
 * Pods of this node that opt out of socket load balancing, by the UID that their
 * cgroup is named by. The caller frees the array; its strings are valid until a
 * Pod changes.
 */
const char **cluster_opted_out(const struct cluster *c, size_t *ret_n);

/* This Service must be planned again: the health of an endpoint changed. */
void cluster_mark(struct cluster *c, const char *ns, const char *name);
/* Everything must be planned again (options or node changed). */
void cluster_mark_all(struct cluster *c);

/*
 * Takes the next Service name to plan again (the Service may be deleted).  The
 * first round is ordered by creation time and name.  The strings stay valid
 * until the next call; false if there is none.
 */
bool cluster_take_dirty(struct cluster *c, const char **ret_ns, const char **ret_name);
size_t cluster_n_dirty(const struct cluster *c);

/* The next slice, in no order; *pos starts at 0. NULL at the end. */
const struct object_slice *cluster_next_slice(const struct cluster *c, size_t *pos);

/* Every Service in key order; the caller frees the array. */
const struct object_service **cluster_services(const struct cluster *c, size_t *ret_n);

/*
 * A reference of every Service, slice, ServiceCIDR and of the Node, in no order. The
 * caller owns them and the array.
 */
struct object **cluster_objects(const struct cluster *c, size_t *ret_n);

/*
 * Trigger times (trigger_us) of slices put since the last call, for metrics; at
 * most max are written, the rest is dropped.  Times before since_us are ignored:
 * a change before our start is not our delay.
 */
size_t cluster_take_triggers(struct cluster *c, int64_t *ret, size_t max);
void cluster_set_triggers_since(struct cluster *c, int64_t since_us);
