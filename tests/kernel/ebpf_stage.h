/*
 * A stage for tests of the eBPF plane: a network namespace, a mount namespace
 * with a bpffs, and a cgroup, all of the test's own. The calling process is in
 * all three until ebpf_stage_leave(); its children are, too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "bpf/ebpf_kernel.h"
#include "core/addr.h"

struct ebpf_stage {
	char *cgroup, *bpffs; /* paths */
	char *home_cgroup;    /* cgroup.procs that we came from */
	/* below ours: of a pod, and one for --ebpf-exclude-cgroup; their cgroup.procs */
	char *pod, *opted_out, *pod_procs, *opted_out_procs;
	int home_net, home_mnt, home_root, home_folder;
};

/* NULL with a printed reason if this machine cannot do it. */
struct ebpf_stage *ebpf_stage_enter(void);
void ebpf_stage_leave(struct ebpf_stage *stage);
/* The programs are those for older kernels. */
bool ebpf_stage_is_plain(void);
struct ebpf_params ebpf_stage_params(const struct ebpf_stage *stage);

/* Of "address:port"; is_mapped: of an IPv6 socket for an IPv4 address. */
socklen_t ebpf_sockaddr(const char *place, bool is_mapped, struct sockaddr_storage *ret);

/*
 * Addresses of lo with a server on each "address:port" of the list (blanks
 * between): TCP and UDP, both answer with their own "address:port". They end
 * with the calling process.
 */
void ebpf_stage_serve(const char *places);

/* A TCP socket that listens there and accepts nothing: its connections stay open. */
int ebpf_listen(const char *place);

/* The server at "address:port": its name, or a strerror(). Points into a static buffer. */
const char *ebpf_ask(int type, const char *place);
/* The same with a socket of the caller; sends to place, or on a connected socket if that is NULL. */
const char *ebpf_ask_on(int fd, const char *place);
/* A socket of this type (SOCK_STREAM, SOCK_DGRAM), connected; or -errno. */
int ebpf_connect(int type, const char *place);
/* getpeername() as text, static buffer. */
const char *ebpf_peer(int fd);
