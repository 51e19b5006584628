/*
 * The programs read two fields of the kernel's struct sock without a helper
 * (bpf/kernel_sock.bpf.h). Its BTF says where they are.
 */
#pragma once

#include <stdint.h>

struct bpf_program;

struct ebpf_kernel_sock {
	uint32_t cast; /* number of bpf_rdonly_cast(), Linux 6.2; 0: not to be read */
	uint32_t type; /* number of struct sock */
	uint32_t cookie, storage; /* offsets of sk_cookie and sk_bpf_storage, bytes */
};

/*
 * cast is 0 where the kernel has no BTF or not these names, and on processors that do not
 * keep the order of loads: the programs count on it.
 */
struct ebpf_kernel_sock ebpf_kernel_sock_find(void);

/* Before loading: puts the number into the program's calls. 0 or -errno. */
int ebpf_kernel_sock_put(struct bpf_program *program, uint32_t cast);
