/*
 * Sockets of clients outside the cgroup that an eBPF daemon attaches to. A
 * socket keeps the cgroup of the process that made it, so processes outside
 * make them, one for each place.
 */
#pragma once

#include "tests/kernel/world.h"

/* A place outside the node, in a world whose node has a cgroup of its own. */
bool outside_is(const struct world *w, enum place place);
/* socket() there; -errno. */
int outside_socket(const struct world *w, enum place place, int af, int type, int proto);
/* Ends the processes. */
void outside_stop(void);
