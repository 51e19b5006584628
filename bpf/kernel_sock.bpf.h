/*
 * The kernel's own structure of a socket, read without a call: a helper costs more than the
 * rest of what a datagram needs.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "bpf/ebpf_layout.h"
#include "bpf/maps.bpf.h"

/* Numbers of the kernel's BTF that the daemon has looked up, and offsets in bytes. */
const volatile __u32 sock_type __weak, sock_cookie __weak, sock_storage __weak;

/*
 * bpf_rdonly_cast() of Linux 6.2: the verifier makes one move of it. The daemon puts its
 * number in, because libbpf would read all of the kernel's BTF at each load for it.
 */
static void *(*const ebpf_cast)(const void *object,
				__u32 type) = (void *)EBPF_CALL_OF_CAST;

static __always_inline const void *ebpf_kernel_sock(struct bpf_sock *sk)
{
	return ebpf_cast(sk, sock_type);
}

/* 0: the socket has none so far, or it cannot be read. */
static __always_inline __u64 ebpf_read_cookie(struct bpf_sock *sk)
{
	return can_read_sock && sk ? *(__u64 *)(ebpf_kernel_sock(sk) + sock_cookie) : 0;
}

static __always_inline bool ebpf_may_have_storage(struct bpf_sock *sk)
{
	return !can_read_sock || !sk || *(void **)(ebpf_kernel_sock(sk) + sock_storage);
}
