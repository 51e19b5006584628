/*
 * N Services with M endpoints each, as a cluster would have them: every Service
 * has a cluster IP and one TCP port, every EndpointSlice the fields that the
 * controller writes.  The same numbers always give the same objects.
 */
#pragma once

#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"

#define WORKLOAD_MAX_SERVICES  (1u << 18)
#define WORKLOAD_MAX_ENDPOINTS (6u << 20) /* of all Services together */
#define WORKLOAD_NODE_NAME     "node-0"
#define WORKLOAD_POD_CIDR      "10.128.0.0/9"
#define WORKLOAD_SERVICE_CIDR  "10.64.0.0/10"
#define WORKLOAD_PORT	       80
#define WORKLOAD_TARGET_PORT   8080

struct addr workload_cluster_ip(uint32_t service);
/* version: another one gives the first endpoint another address. */
struct addr workload_endpoint(uint32_t service, uint32_t endpoint, uint32_t n_endpoints,
			      uint32_t version);

/* One JSON object each. */
void workload_add_node(struct buf *out);
void workload_add_service(struct buf *out, uint32_t service);
void workload_add_slice(struct buf *out, uint32_t service, uint32_t n_endpoints,
			uint32_t version);
/* Services first..end-1 with their slices as a List; the Node is with the first Service. */
void workload_add_list(struct buf *out, uint32_t first, uint32_t end,
		       uint32_t n_endpoints);
