/*
 * The addresses of this host's interfaces, read from rtnetlink and followed
 * live.  Any notification leads to a fresh read, so lost ones cost nothing, and
 * a failed read is repeated; the callback comes only when the list has changed.
 *
 * Left out: IPv6 addresses that can't be used (duplicate address detection
 * runs or has failed), IPv6 link-local ones, which mean something only together
 * with an interface, and those of kube-ipvs0, where kube-proxy's ipvs mode puts
 * the addresses of Services.  Loopback addresses are in.
 */
#pragma once

#include <stddef.h>

#include "core/addr.h"
#include "core/cleanup.h"

struct ev_loop;
struct host_addresses;

/* Of the caller's network namespace. -errno when rtnetlink isn't there. */
int host_addresses_new(struct host_addresses **ret);
void host_addresses_free(struct host_addresses *h);
DEFINE_CLEANUP(struct host_addresses *, host_addresses_free);

/* Reads all of them; on failure the list stays the same. */
int host_addresses_read(struct host_addresses *h);

/*
 * Changes since the last read are noticed as well: nothing is lost between
 * host_addresses_read() and this.
 */
void host_addresses_start(struct host_addresses *h, struct ev_loop *loop,
			  void (*changed)(void *data), void *data);

/* Sorted, each one once; valid until the next read or turn of the loop. */
const struct addr *host_addresses_list(const struct host_addresses *h, size_t *ret_n);
