/* A socket for conntrack's netlink messages. */
#pragma once

#include "core/cleanup.h"

struct mnl_socket;

/* A receive waits for a second at most: the kernel has answered when a send returns. */
int conntrack_socket_open(struct mnl_socket **ret);
void conntrack_socket_close(struct mnl_socket *nl);
DEFINE_CLEANUP(struct mnl_socket *, conntrack_socket_close);
