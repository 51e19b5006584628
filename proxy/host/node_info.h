/*
 * This node: the options of plan() and the environment of the sinks, computed
 * from the configuration, the Node object and the host's addresses.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/environment.h"
#include "watchers/plan/plan.h"

struct cluster;
struct config;
struct state;

struct node_info { /* embedded */
	const struct config *config;
	struct addr *hosts; /* on this host's interfaces */
	size_t n_hosts;
	struct addr *own; /* of these, those outside of the service networks */
	struct nodeport_addresses nodeports;
	struct plan_options options;
	struct environment env;
	struct addr *nodeport_list[FAMILY_N]; /* the addresses of node ports */
	size_t n_nodeport_list[FAMILY_N];
	size_t n_overlaps; /* service networks that overlap pods or this node: logged */
};

/* config, which has been validated, and node_name are borrowed until node_info_fini(). */
void node_info_init(struct node_info *f, const struct config *config,
		    const char *node_name);
void node_info_fini(struct node_info *f);

/* Finds the families that this host supports; both are enabled before. */
void node_info_ask_host(struct node_info *f);
/* Are node ports on loopback addresses served? If not, and they are wanted, one line is logged. */
void node_info_set_loopback(struct node_info *f, bool is_served);
void node_info_set_hosts(struct node_info *f, const struct addr *hosts, size_t n);

enum node_info_change {
	NODE_INFO_PLAN = 1,	   /* services must be planned again */
	NODE_INFO_ENVIRONMENT = 2, /* sinks need a full change set */
	NODE_INFO_ADDRESSES = 4,   /* node_info_set_state() is due, if nothing else is */
};
/* Reads the cluster's Node and ServiceCIDRs; returns a mask of the changes. */
unsigned node_info_update(struct node_info *f, struct cluster *cluster);
/* Reports each ServiceCIDR that overlaps others, as a sentence. */
void node_info_each_overlap(const struct node_info *f, const struct cluster *cluster,
			    void (*fn)(void *data, const char *finding), void *data);
/* Passes the addresses of node ports on, before services are planned. */
void node_info_set_state(const struct node_info *f, struct state *state);
