/*
 * A node with two pods, in network namespaces of its own:
 *
 *	client pod ──veth── host ──veth── server pod
 *	10.255.0.2                        10.128.0.0/10, all of it
 *
 * Everything between the pods passes the host. The eBPF plane always has the
 * Services; nftables has them on a node that is loaded.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "bench/services.h"

enum node_place { NODE_HOST, NODE_CLIENT, NODE_SERVER, NODE_PLACE_N };

#define NODE_SERVERS_MAX 64

struct node {
	const char *name;
	int ns[NODE_PLACE_N];
	char *cgroup, *bpffs; /* the programs are attached to this cgroup */
	struct sink *ebpf, *nft;
	int listener; /* TCP, all addresses of the server pod */
	struct {      /* UDP, one for each address that is used */
		int fd[NODE_SERVERS_MAX];
		unsigned n;
	} servers;
};

/* Exits when it cannot be built. */
void node_init(struct node *node, const char *name, bool is_loaded,
	       const struct services *services);
void node_fini(struct node *node);
/* Sockets that this process makes from now on are there. */
void node_enter(const struct node *node, enum node_place place);
/* Serves datagrams at one address of the server pod. */
void node_serve(struct node *node, const struct sockaddr_in *at);
/* Runs `ip -batch` there. */
void node_configure(const struct node *node, enum node_place place, const char *script);
