/*
 * Objects for tests out of YAML.
 */
#pragma once

#include <stddef.h>

#include "core/cleanup.h"
#include "watchers/cluster.h"

DEFINE_CLEANUP(struct cluster *, cluster_free);

/* Puts all documents; returns how many objects changed something. The text must parse. */
size_t cluster_put_text(struct cluster *cluster, const char *yaml);
/* The same for a formatted text. */
__attribute__((format(printf, 2, 3))) size_t cluster_put_format(struct cluster *cluster,
								const char *format, ...);

/*
 * A slice of IPv4 for Service default/SERVICE with port "http" 80/TCP, out of
 * words like "10.0.0.1", "10.0.0.1@node", with ! (not ready, not serving) or ~
 * (terminating, serving) after it. Returns whether it changed something.
 */
bool cluster_put_slice(struct cluster *cluster, const char *name, const char *service,
		       const char *endpoints);
