/* The eBPF plane's view of services, as JSON: what the programs would read. */
#pragma once

#include "core/buf.h"
#include "core/changeset.h"

/*
 * { "frontends": [ { address, port, protocol, service, node, pod } … ],
 *   "services": [ { service, family, affinitySeconds, cluster, local } … ] }
 *
 * node and pod are the actions of these clients: pass (to nftables), cluster,
 * local or refuse; cluster and local are the endpoints of the pools.
 */
void ebpf_dump(const struct changeset *full, struct buf *out);
