/*
 * A server in one place of the world: TCP, UDP and (where the
 * kernel has it) SCTP, both families, many ports.
 * To everything it is sent it answers who it is and whom it sees, as
 * "ADDRESS:PORT ADDRESS:PORT\n": its own address as the packet had it, then
 * the sender's.  TCP connections stay open until the client ends them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/kernel/world.h"

/* Listens already when this returns. */
pid_t backend_start(const struct world *w, enum place place, const uint16_t *ports,
		    size_t n_ports);
void backend_stop(pid_t pid);
