/* A socket for conntrack's netlink messages. */
#pragma once

#include <sys/types.h>

#include "core/cleanup.h"

#define CONNTRACK_DATAGRAM_MAX 32768 /* of a dump */

struct mnl_socket;

/* A receive waits for a second at most: the kernel has answered when a send returns. */
int conntrack_socket_open(struct mnl_socket **ret);
/* A datagram of a dump, into CONNTRACK_DATAGRAM_MAX bytes: its length, or -errno. */
ssize_t conntrack_socket_receive(struct mnl_socket *nl, void *buf);
void conntrack_socket_close(struct mnl_socket *nl);
DEFINE_CLEANUP(struct mnl_socket *, conntrack_socket_close);
