/*
 * All objects read once and planned, without a kernel: for plan and dump.
 */
#pragma once

#include <stdbool.h>

#include "proxy/host/node_info.h"

struct cluster;
struct config;
struct parts;
struct plan_print_input;
struct rejections;

struct snapshot { /* embedded */
	const struct parts *parts;
	const struct config *config;
	char *node_name;
	struct cluster *cluster;
	struct rejections *rejections;
	struct node_info node_info;
	struct state *state;
	int source_err; /* a part of the input could not be read; logged */
};

/*
 * keep_nodeports: node ports have no address, else they are at those of this
 * host. Returns -errno, after logging the reason, when there is nothing
 * to show. Call snapshot_fini() in any case.
 */
int snapshot_take(struct snapshot *s, const struct config *config,
		  const struct parts *parts, bool keep_nodeports);
void snapshot_fini(struct snapshot *s);
/*
 * Takes a snapshot and passes it to show() with the format. Returns the exit status of
 * show(), or STATUS_FAILED when a part of the input could not be read.
 */
int snapshot_show(const struct config *config, const struct parts *parts,
		  bool keep_nodeports, int (*show)(const struct snapshot *s, int format),
		  int format);
/* The input of plan_print(); borrowed. */
struct plan_print_input snapshot_print_input(const struct snapshot *s);
