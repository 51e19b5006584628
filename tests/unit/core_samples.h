/*
 * Services for tests of core/: built from text, so that a case fits on a line.
 */
#pragma once

#include "core/service.h"

struct addr sample_addr(const char *text);

/*
 * A TCP service in ns "default" from space-separated words: frontends
 * "1.2.3.4:80" and endpoints "1.2.3.4:80*" (in the cluster pool; "*" also in the
 * local one). All frontends are ClusterIPs balanced over the cluster pool.
 */
struct service *sample_service(const char *name, const char *port_name,
			       const char *frontends, const char *endpoints);
