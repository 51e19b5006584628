/*
 * Notifies the service manager (sd_notify protocol): sends one datagram to the
 * socket in NOTIFY_SOCKET, if that is set.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool notify_has_manager(void);
/* "READY=1", "STOPPING=1", "STATUS=..."; 0, also without a listener, or -errno. */
int notify_send(const char *text);
/* The same without waiting for a manager that is busy, for the event loop. */
int notify_try(const char *text);
/* WATCHDOG=1 is due this often, or the manager ends this process; 0: it does not. */
uint64_t notify_watchdog_us(void);
/*
 * Descriptors that it keeps under this name (no colon) for the next process, and
 * that it keeps no longer. The same results.
 */
int notify_store_fds(const char *name, const int *fds, size_t n);
int notify_remove_fds(const char *name);
