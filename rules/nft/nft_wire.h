/*
 * Elements as netlink attributes, both ways.  Written with libmnl directly:
 * a cold start writes hundreds of thousands, and libnftnl's objects for them
 * cost several times as much as the bytes.
 */
#pragma once

#include "rules/nft/nft_element.h"

struct nlmsghdr;

/* Appends one item to the open list at the end of the message. */
void nft_wire_put_element(struct nlmsghdr *message, const struct nft_element *e,
			  bool with_value);

/* An element as the kernel reports it. */
struct nft_read_element {
	struct nft_element e;
	bool is_catchall; /* has no key; we never make one */
};

/*
 * Calls fn for each element of a message that belongs to this set, also for
 * those that can't be ours (a key of another length). -EBADMSG when the message
 * is malformed.
 */
int nft_wire_parse_elements(const struct nlmsghdr *message, enum nft_set set,
			    enum family family,
			    void (*fn)(void *data, const struct nft_read_element *e),
			    void *data);
