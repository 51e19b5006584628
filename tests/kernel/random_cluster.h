/*
 * Random Kubernetes objects for one small cluster: everything that decides
 * about a Service occurs, and addresses come from small pools, so that they
 * are claimed twice now and then.  The same seed gives the same objects.
 */
#pragma once

#include <stdint.h>

struct cluster;

struct random_cluster {
	uint64_t seed; /* not 0 */
	struct cluster *cluster;
};

#define RANDOM_NODE_NAME "node-a"

/* A number below n. */
uint32_t random_below(struct random_cluster *r, uint32_t n);
/* A new Node, and new Services and slices in place of all there were. */
void random_cluster_fill(struct random_cluster *r);
/* A few Services or slices are added, changed or removed. */
void random_cluster_change(struct random_cluster *r);
