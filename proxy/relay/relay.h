/*
 * The userspace plane: services are served by sockets of this process.  Each
 * frontend is a listener; a connection of a client becomes one to an endpoint,
 * and their bytes are moved in both directions.  Datagrams of a client go to one
 * endpoint as long as they continue.  It serves TCP and UDP, and only while it runs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct ev_loop;
struct sink;

/* Keeps descriptors for the next process under a name: a service manager does. */
struct relay_store {
	int (*put)(const char *name, const int *fds, size_t n); /* 0, or -errno */
	int (*remove)(const char *name);
};

struct relay_params {
	unsigned n_workers; /* 0: one for each core */
	/* When idle UDP flows end, without and with answers; 0: the kernel's 30 and 120. */
	uint32_t udp_unanswered_sec, udp_answered_sec;
	struct ev_loop *loop;	   /* NULL: no hand-over and no store */
	const char *handover_path; /* where listeners are handed over; NULL: nowhere */
	bool take_over;		   /* take those of the daemon that listens there */
	const int *inherited;	   /* descriptors out of the store; taken */
	size_t n_inherited;
	const struct relay_store *store; /* NULL: none */
	/* Services get a port at these instead of local routes. */
	struct addr local[FAMILY_N];
	bool has_local[FAMILY_N];
};

/* 0, or -errno and why (to be freed). */
int relay_sink_new(const struct relay_params *params, struct sink **ret, char **ret_why);
/* It has listeners of a daemon that runs, which ends once all Services are served. */
bool relay_sink_is_taking_over(const struct sink *sink);
/* Removes the local routes that a run left. 0, or -errno; *ret_n is their number. */
int relay_cleanup(size_t *ret_n);
