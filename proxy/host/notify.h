/*
 * Notifies the service manager (sd_notify protocol): sends one datagram to the
 * socket in NOTIFY_SOCKET, if that is set.
 */
#pragma once

/* "READY=1", "STOPPING=1", "STATUS=..."; 0, also without a listener, or -errno. */
int notify_send(const char *text);
