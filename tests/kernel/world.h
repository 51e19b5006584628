/*
 * A small cluster around one node, in network namespaces of its own, for tests
 * with real packets.  IPv6 has the same shape.
 *
 *   client                      node                              pod1 … pod4
 *   192.168.0.1   out0 ─── out0 192.168.0.2 (node)   pod1 ─── eth0 10.180.0.1
 *   203.0.113.2   (client)      192.168.3.2 (node3)  pod2 ─── eth0 10.180.0.2
 *   203.0.113.130 (blocked)     192.168.1.2 (node2)  …
 *                               far0
 *                                │
 *                               far0   192.168.1.1
 *                        far    10.180.2.1 … .5 (far1 … far5): pods of other nodes
 *                               192.168.99.50 (ext50), 1.2.3.9 (vip9): hosts outside
 *
 * Pods hang on routed veths, so everything between them passes the node.  Pods
 * and far answer on all of world_ports[], TCP and UDP; the node itself on
 * WORLD_NODE_PORT only, which shows what sluice leaves alone.
 *
 * The namespaces have no names: file descriptors hold them, the processes in
 * them die with their parent (PR_SET_PDEATHSIG), so nothing can be left behind.
 * Only the folder for files has to be removed, which a guardian process does
 * however this one ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/addr.h"

#define WORLD_NODE_NAME "node-a"
#define WORLD_POD_CIDRS "10.0.0.0/8,fd00:10::/32"
#define WORLD_NODE_PORT 3001
#define WORLD_N_PODS	4
/* For events that come in the end: when a process ends the kernel may take seconds on a busy machine. */
#define WORLD_PATIENCE_US 60000000
/* $PATIENCE: how many times slower than usual this machine may be; limits of times are multiplied by it. */
unsigned long world_patience(void);

enum place {
	PLACE_CLIENT,
	PLACE_NODE,
	PLACE_FAR,
	PLACE_POD1,
	PLACE_POD4 = PLACE_POD1 + WORLD_N_PODS - 1,
	PLACE_N,
};

struct world {
	int home, ns[PLACE_N]; /* network namespaces */
	pid_t backends[PLACE_N];
	pid_t guardian;
	int guard; /* its end means that we are gone */
	char *dir; /* for files; goes with the world */
	/* cgroup.procs for the client and far; NULL: all places are in one cgroup */
	const char *outside;
	/* cgroup.procs in eBPF mode: of a pod, and of a pod that is left to nftables */
	const char *pod, *opted_out;
};

extern const uint16_t world_ports[];
extern const size_t world_n_ports;

/* Fails the test when it can't be built. NULL when this machine can't do it (no root). */
struct world *world_new(void);
void world_free(struct world *w);
/* For a group of tests that share a world: cmocka's set-up and tear-down. */
int world_setup(void **state);
int world_teardown(void **state);

/* The calling thread's sockets and files under /proc/sys are in that place until it leaves. */
void world_enter(const struct world *w, enum place place);
void world_leave(const struct world *w);
/* fork() in a place; the child (0) dies with us and must end with _exit(). */
pid_t world_fork(const struct world *w, enum place place);
/* Runs a shell command there; answers its exit status. */
__attribute__((format(printf, 3, 4))) int
world_run(const struct world *w, enum place place, const char *fmt, ...);
/* The same, but the test fails unless it exits with 0. */
__attribute__((format(printf, 3, 4))) void
world_must(const struct world *w, enum place place, const char *fmt, ...);

/*
 * "pod1", "far5", "node", "client", "svc41" (a cluster IP), "ext11", "vip4": the address of that
 * name in this family. Fails the test for an unknown one.
 */
struct addr world_addr(const char *name, enum family family);
/* The same with ":80" after the name. */
struct addr world_addr_port(const char *text, enum family family, uint16_t *ret_port);
/* Where a name of the picture lives. */
enum place world_place(const char *name);
/* The name of an address, for messages; the address itself when it has none. */
const char *world_name(const struct addr *a, char buf[static ADDR_TEXT_LEN]);

uint64_t world_now_us(void);
void world_sleep_ms(unsigned ms); /* between two looks at a condition, nothing else */
