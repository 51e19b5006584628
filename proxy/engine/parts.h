/*
 * The concrete things that a command may need, made on demand.  main.c fills
 * one in; tests fill in fakes.
 */
#pragma once

#include "core/buf.h"
#include "core/nf_chain.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/source.h"

struct cluster;
struct config;
struct reject;

struct parts {
	/* Where objects come from, by the configuration; told when it can't. */
	int (*make_source)(const struct config *config, const char *node_name,
			   struct cluster *cluster, const struct reject *reject,
			   struct object_source **ret);
	/* How traffic is handled, by the configuration's mode; told when it can't. */
	int (*make_dataplane)(const struct config *config, struct dataplane *ret);
	/* Removes what any data plane of ours made. */
	int (*cleanup)(void);
	/* Removes what kube-proxy left; adds a line for each table to removed. */
	int (*cleanup_kube_proxy)(struct buf *removed);
	/* Reports every chain of netfilter on this host. */
	int (*list_chains)(nf_chain_fn fn, void *data);
};
