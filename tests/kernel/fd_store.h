/*
 * A supervisor's store for descriptors, as that of systemd: it takes FDSTORE and
 * FDSTOREREMOVE messages of a daemon, and passes what it has to the next one.
 */
#pragma once

#include <stddef.h>

struct fd_store;

/* Listens at path, in a thread. One at a time. */
struct fd_store *fd_store_start(const char *path);
void fd_store_stop(struct fd_store *s);
/* In the process that becomes the daemon, right before exec. */
void fd_store_pass(void);
/* How many descriptors it has. */
size_t fd_store_n(struct fd_store *s);
/* Waits until the daemon has written the stored state so many times. */
void fd_store_await_state(struct fd_store *s, unsigned n_times);
/* Replaces the content of the stored state. */
void fd_store_damage_state(struct fd_store *s);
