/*
 * Dumps of the connection tracking table that do not delay the event loop.
 *
 * Where a filter matches few flows the kernel walks its whole table, that of all
 * network namespaces, in one system call: about 100 ms for a million flows.  So a
 * thread receives the dump, and sends each datagram unchanged to the loop's socket.
 */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/cleanup.h"
#include "rules/conntrack/conntrack_socket.h"

#define CONNTRACK_REQUEST_MAX 512

struct conntrack_dump;

int conntrack_dump_open(struct conntrack_dump **ret);
/* Ends a running dump, too. */
void conntrack_dump_close(struct conntrack_dump *d);
DEFINE_CLEANUP(struct conntrack_dump *, conntrack_dump_close);

/* Readable when a datagram has arrived; always the same descriptor. */
int conntrack_dump_fd(const struct conntrack_dump *d);
/* The previous dump must have been received to its end. The request is copied. */
int conntrack_dump_start(struct conntrack_dump *d, const struct nlmsghdr *request);
/*
 * The length of the next datagram, which stays readable until it is dropped, or
 * -EAGAIN: it has not arrived yet.  buf holds CONNTRACK_DATAGRAM_MAX bytes.  The last
 * datagram holds NLMSG_DONE or NLMSG_ERROR, also when the thread failed.
 */
ssize_t conntrack_dump_peek(struct conntrack_dump *d, char *buf);
void conntrack_dump_drop(struct conntrack_dump *d);
