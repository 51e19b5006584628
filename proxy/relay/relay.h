/*
 * The userspace plane: services are served by sockets of this process.  Each
 * frontend is a listener; a connection of a client becomes one to an endpoint,
 * and their bytes are moved in both directions.  Datagrams of a client go to one
 * endpoint as long as they continue.  It serves TCP and UDP, and only while it runs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sink;

struct relay_params {
	unsigned n_workers; /* 0: one for each core */
	/* When idle UDP flows end, without and with answers; 0: the kernel's 30 and 120. */
	uint32_t udp_unanswered_sec, udp_answered_sec;
};

/* 0, or -errno and why (to be freed). */
int relay_sink_new(const struct relay_params *params, struct sink **ret, char **ret_why);
/* Removes the local routes that a run left. 0, or -errno; *ret_n is their number. */
int relay_cleanup(size_t *ret_n);
