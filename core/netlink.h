/*
 * What all readers of netlink share. The messages come from the kernel, and
 * are checked all the same.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>

/*
 * Whether a complete message starts here, with left bytes of the datagram
 * remaining. Lengths beyond 2 GiB are no messages, either: mnl_nlmsg_ok()
 * accepts some of them.
 */
static inline bool netlink_is_message(const struct nlmsghdr *message, int left)
{
	return left >= (int)sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
	       message->nlmsg_len <= (unsigned int)left;
}
