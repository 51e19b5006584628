/*
 * Closes the sockets of this node and of its pods whose endpoint stopped
 * serving: connected UDP sockets always, TCP connections where the Service
 * asks for it. Connected UDP sockets are closed, too, when the address that they
 * asked for leads to their Service no longer. The client's blocked calls return ECONNABORTED immediately.
 * Sockets that are connected elsewhere by now are left alone.
 *
 * Needs Linux 6.5 (bpf_sock_destroy), and CAP_SYS_ADMIN for namespaces other
 * than the daemon's own.
 */
#pragma once

#include <stdint.h>

struct ebpf_kernel;
struct ebpf_sockets;

/* -errno with a reason for people: the kernel cannot do it. */
int ebpf_sockets_new(const struct ebpf_kernel *kernel, struct ebpf_sockets **ret,
		     char **ret_why);
void ebpf_sockets_free(struct ebpf_sockets *s);

struct ebpf_closed {
	uint64_t n_sockets;
	unsigned n_namespaces, n_unreachable; /* namespaces that could not be entered */
};
/* 0 or -errno. */
int ebpf_sockets_close_stale(struct ebpf_sockets *s, struct ebpf_closed *ret);
/* The maps have grown: the programs are loaded again with them, before they run next. */
void ebpf_sockets_renew(struct ebpf_sockets *s);
/* Loads them now if that is due. 0 or -errno. */
int ebpf_sockets_load(struct ebpf_sockets *s);
