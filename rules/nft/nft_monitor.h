/*
 * Watches for changes to the ruleset that other processes make.  A filter drops
 * notifications of our own changes before they reach the socket's buffer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nft_monitor { /* embedded */
	int fd;
	bool is_changed; /* in the transaction whose end has not been read yet */
	char by[64]; /* the last process that made a change: "nft (pid 123)"; "": not known */
};

#define NFT_MONITOR_INIT ((struct nft_monitor){.fd = -1})

/* own_port_id: of the socket that our transactions go through. */
int nft_monitor_open(struct nft_monitor *m, uint32_t own_port_id);
void nft_monitor_close(struct nft_monitor *m);

/* Joins or leaves the group; the kernel makes no messages for a group without members. */
int nft_monitor_subscribe(struct nft_monitor *m, bool on);

/*
 * Reads all notifications. True when our tables were changed, or may have been
 * (some notifications were lost). Learned elements are not a change.
 */
bool nft_monitor_drain(struct nft_monitor *m);

/* One datagram, see nft_monitor_drain(). */
bool nft_monitor_read(struct nft_monitor *m, const void *bytes, size_t len);
