/*
 * Descriptors that the service manager kept and passes to this process (the
 * protocol of sd_listen_fds): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES.
 */
#pragma once

#include <stddef.h>

/*
 * Corrects LISTEN_FDS to the descriptors that are open. To be called before the process
 * opens any: otherwise one of its own could have the number of a missing one.
 */
void listen_fds_check(void);
/*
 * The descriptors, with close-on-exec; *ret_n is 0 when none were passed. The caller
 * frees the list. Another call returns none.
 */
int *listen_fds_take(size_t *ret_n);
/* Closes those that were not taken, and has the service manager forget them. */
void listen_fds_discard(void);
