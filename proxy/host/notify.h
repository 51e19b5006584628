/*
 * Notifies the service manager (sd_notify protocol): sends one datagram to the
 * socket in NOTIFY_SOCKET, if that is set.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool notify_has_manager(void);
/* "READY=1", "STOPPING=1", "STATUS=..."; 0, also without a listener, or -errno. */
int notify_send(const char *text);
/*
 * Descriptors that it keeps under this name (no colon) for the next process, and
 * that it keeps no longer. The same results.
 */
int notify_store_fds(const char *name, const int *fds, size_t n);
int notify_remove_fds(const char *name);
