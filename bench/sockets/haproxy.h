/* Debian's haproxy as a TCP proxy on a node, one listener for each Service. */
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include "bench/sockets/node.h"

/*
 * Its process, or 0 when it is not installed. ret[i] is where it serves
 * Service numbers[i].
 */
pid_t haproxy_start(const struct node *node, const struct services *services,
		    const uint32_t *numbers, unsigned n, struct sockaddr_in *ret);
void haproxy_stop(pid_t pid);
