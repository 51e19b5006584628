// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * close() of a socket, also of a process that ends: its place among the connections is free.
 */
#include "bpf/connections.bpf.h"

SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *ctx)
{
	if (ctx->protocol == IPPROTO_TCP ||
	    (can_read_sock && ctx->protocol == IPPROTO_UDP))
		ebpf_release_connection(bpf_get_socket_cookie(ctx));
	return 1;
}

char _license[] SEC("license") __weak = "Dual BSD/GPL";
