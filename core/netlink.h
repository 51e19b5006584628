/*
 * Reading netlink, shared by all its users.  Messages come from the kernel,
 * and are checked all the same.
 *
 * This is the one place of core that makes a system call: it receives on a
 * socket that the caller has opened.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Whether a complete message starts here, with left bytes of the datagram
 * remaining. Lengths beyond 2 GiB are refused, too: mnl_nlmsg_ok() accepts some
 * of them.
 */
static inline bool netlink_is_message(const struct nlmsghdr *message, int left)
{
	return left >= (int)sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
	       message->nlmsg_len <= (unsigned int)left;
}

/* The first attribute of this type behind the message's own header, or NULL. */
const struct nlattr *netlink_attr(const struct nlmsghdr *message, size_t header_len,
				  uint16_t type);
/* The same among the attributes in a nest; NULL when nest is NULL. */
const struct nlattr *netlink_attr_in(const struct nlattr *nest, uint16_t type);

/* Whether there is such an attribute with a value of this length; attr may be NULL. */
bool netlink_has_len(const struct nlattr *attr, size_t len);
/* Its text, or NULL when attr is NULL or the value is not NUL-terminated. */
const char *netlink_string(const struct nlattr *attr);
/* A number in network order; false when attr is NULL or has another length. */
bool netlink_u32(const struct nlattr *attr, uint32_t *ret);

/* The error of an NLMSG_ERROR or NLMSG_DONE message: 0 or -errno. */
int netlink_error(const struct nlmsghdr *message);

/* The answer to one request; embedded, the caller sets the first five members. */
struct netlink_reader {
	uint32_t seq;	/* of the request: messages with another number are skipped */
	bool is_single; /* the first message is the whole answer */
	/*
	 * The most that a datagram of the answer has: then many are received in one
	 * system call. 0: the whole buffer is for one.
	 */
	size_t datagram_len;
	/* 0 or -errno; after an error the rest of the answer is only skipped */
	int (*message)(void *data, const struct nlmsghdr *message);
	void *data;
	/*
	 * Set when the kernel changed the listing while it was dumped: entries may
	 * be missing. The messages of such a dump are passed on all the same.
	 */
	bool is_interrupted;
	int err;
};

/*
 * One datagram, aligned as netlink messages are. 1: the answer continues, 0: it
 * is complete, -errno: the kernel's error (also that of a dump which ended early),
 * the callback's, or -EBADMSG for malformed messages.
 */
int netlink_reader_feed(struct netlink_reader *r, const void *datagram, size_t len);

/*
 * Receives datagrams until the answer is complete: 0, or -errno as above,
 * -ETIMEDOUT when the socket's receive timeout passed, -ENOBUFS when the kernel
 * dropped messages, -EMSGSIZE when a datagram is longer than the buffer.
 */
int netlink_reader_run(struct netlink_reader *r, int fd, void *buffer, size_t len);

/*
 * One datagram of the kernel; those of other processes are skipped. Its length,
 * or -errno as above (-EAGAIN where the socket or flags say not to wait).
 */
ssize_t netlink_receive(int fd, void *buffer, size_t len, int flags);
