/*
 * The answers of the running daemon: its services and endpoints, the reasons for the
 * path of a connection, and the differences in the kernel.
 */
#pragma once

#include "core/nf_chain.h"
#include "proxy/control/control.h"

struct cluster;
struct counts;
struct dataplane;
struct last_census;
struct node_info;
struct sink;
struct state;
struct status;

struct inspect { /* all borrowed */
	const struct cluster *cluster;
	const struct node_info *node_info;
	const struct state *state;
	const struct dataplane *dataplane;
	struct counts *counts;		 /* NULL: not known */
	struct last_census *last_census; /* NULL: none */
	bool is_offline; /* the objects are not those of this host: it is not looked at */
	/* Reports every chain of netfilter on this host; NULL: explain does without. */
	int (*list_chains)(nf_chain_fn fn, void *data);
	struct status *status;
	const struct sink *journal;
	/* Why there is nothing to show so far, freed by the caller; NULL: there is. */
	char *(*unready)(const void *data);
	/* The configuration, and whether objects come from manifests: for CONTROL_CONFIG. */
	json_t *(*config)(const void *data);
	const void *data;
};

/* A control_fn; data is a struct inspect. */
struct control_answer *inspect_answer(void *data, const struct control_request *request,
				      char **ret_error);
