/*
 * Telling a service manager how we do (the sd_notify protocol): one datagram
 * to the socket named by NOTIFY_SOCKET.  Without one, nothing happens.
 */
#pragma once

/* "READY=1", "STOPPING=1", "STATUS=..."; 0, also when nobody listens, or -errno. */
int notify_send(const char *text);
