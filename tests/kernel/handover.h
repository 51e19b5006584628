/*
 * Parts of tests about hand-over between daemons of userspace mode.
 */
#pragma once

#include <sys/types.h>

#include "tests/kernel/instance.h"

struct fd_store;

/* Starts another daemon beside it, which takes over. The process of the old one. */
pid_t handover_start(struct instance *sluice);
/* Of a process of the test that has nothing to do any more: its status is 0. */
void handover_await_end(struct instance *sluice, pid_t pid);
__attribute__((format(printf, 2, 3))) void handover_await_log(struct instance *sluice,
							      const char *fmt, ...);
/* Connections to the cluster IP with this name, as `get services` shows them. */
unsigned handover_n_connections(struct instance *sluice, const char *name);
/* The daemon is started again under a supervisor that keeps descriptors; or without. */
struct fd_store *handover_start_store(struct instance *sluice);
void handover_end_store(struct instance *sluice, struct fd_store *store);
