/*
 * Hears of changes to the ruleset that others make.  The kernel drops what we
 * caused ourselves before it reaches the socket, however large.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nft_monitor { /* embedded */
	int fd;
};

#define NFT_MONITOR_INIT ((struct nft_monitor){.fd = -1})

/* own_port_id: of the socket that our transactions go through. */
int nft_monitor_open(struct nft_monitor *m, uint32_t own_port_id);
void nft_monitor_close(struct nft_monitor *m);

/* Joins or leaves the group: while nobody listens the kernel is spared the messages. */
int nft_monitor_listen(struct nft_monitor *m, bool on);

/*
 * Reads all that is there. True when our tables were, or may have been (some
 * was lost), changed. What clients learn is no change.
 */
bool nft_monitor_drain(struct nft_monitor *m);

/* Does this datagram tell of a change to our tables? */
bool nft_monitor_is_ours(const void *bytes, size_t len);
