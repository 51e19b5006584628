/*
 * Sockets of clients in another cgroup than that of the test, which an eBPF
 * daemon attaches to: outside of it, or below. A socket keeps the cgroup of the
 * process that made it, so processes there make them, one for each place.
 */
#pragma once

#include "tests/kernel/world.h"

/* A place outside the node, in a world whose node has a cgroup of its own. */
bool outside_is(const struct world *w, enum place place);
/* socket() of a process in this place and in the cgroup with this cgroup.procs; -errno. */
int outside_socket(const struct world *w, enum place place, const char *procs, int af,
		   int type, int proto);
/* Ends the processes. */
void outside_stop(void);
