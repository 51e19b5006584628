/*
 * The concrete things that the program is made of.  main.c fills one in; tests
 * fill in fakes.
 */
#pragma once

#include <stddef.h>

#include "core/nf_chain.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/source.h"

struct buf;
struct cluster;
struct config;
struct ev_loop;
struct reject;

#define PLANE_MAX_CLEANUPS 4

/* A way to handle traffic: --proxy-mode names it. */
struct plane {
	const char *mode;
	const char *merit; /* why it is taken before others, for the log */
	bool has_loopback; /* serves node ports on loopback addresses */
	bool needs_daemon; /* nothing is served once the process has ended */
	/* Kept after start, besides those that every mode needs. */
	const unsigned *caps; /* CAP_* */
	size_t n_caps;
	const int *syscalls; /* numbers */
	size_t n_syscalls;
	/* 0, or -errno and why it cannot be used here; the caller frees the text. */
	int (*probe)(const struct config *config, char **ret_why_not);
	/* After a good probe. 0, or -errno, logged. */
	int (*open)(const struct config *config, struct ev_loop *loop,
		    struct dataplane *ret);
	/* Adds the mode's own view to `dump --format json`: a JSON value. NULL: none. */
	void (*dump)(const struct changeset *full, struct buf *out);
	/*
	 * Each removes one thing that the mode leaves in place, and adds its name to
	 * removed if it was there, such as ", 3 maps"; the list ends with NULL. Modes
	 * share functions where they share things. They work with CAP_NET_ADMIN.
	 */
	int (*cleanups[PLANE_MAX_CLEANUPS + 1])(const struct config *config,
						struct buf *removed);
};

/* The formats of `dump`. */
struct dump_format {
	const char *name;
	void (*dump)(const struct changeset *full, struct buf *out);
};

struct parts {
	/* Where objects come from, by the configuration. 0, or -errno, logged. */
	int (*make_source)(const struct config *config, const char *node_name,
			   struct cluster *cluster, const struct reject *reject,
			   struct object_source **ret);
	/* Removes the tables and chains of kube-proxy; adds a line for each table to removed. */
	int (*cleanup_kube_proxy)(struct buf *removed);
	/* Reports every chain of netfilter on this host. */
	int (*list_chains)(nf_chain_fn fn, void *data);
	const struct plane *planes; /* best first */
	size_t n_planes;
	const struct dump_format *formats; /* the default first */
	size_t n_formats;
};
