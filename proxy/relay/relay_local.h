/*
 * Local ports: without local routes, a service is served at a port of one address of
 * this host (--userspace-listen).  The port follows from the service's key, so that it
 * is the same after a restart, unless it is taken: then the next free one.
 */
#pragma once

#include <stdint.h>

#include "core/service.h"

/* Below the kernel's ephemeral ports and the usual node ports. */
#define RELAY_LOCAL_FIRST 10000
#define RELAY_LOCAL_LAST  29999
#define RELAY_LOCAL_TRIES 200

/* The n-th choice. Both families of a service port have the same ones. */
uint16_t relay_local_port(const struct service *s, unsigned n);
/* The frontend whose decisions hold at the local port: the first without source ranges, or NULL. */
const struct frontend *relay_local_frontend(const struct service *s);
