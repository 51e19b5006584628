/*
 * Parts of tests about hand-over between daemons of userspace mode.
 */
#pragma once

#include <sys/types.h>

#include "tests/kernel/instance.h"

struct fd_store;

/* Starts another daemon beside it, which takes over. The process of the old one. */
pid_t handover_start(struct instance *sluice);
/* Connections to the cluster IP with this name, as `get services` shows them. */
unsigned handover_n_connections(struct instance *sluice, const char *name);
/* The daemon is started again under a supervisor that keeps descriptors; or without. */
struct fd_store *handover_start_store(struct instance *sluice);
void handover_end_store(struct instance *sluice, struct fd_store *store);
