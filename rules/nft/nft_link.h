/*
 * A netlink socket to nf_tables: dumps, single requests, and raw batches.
 * It blocks, but the kernel answers inside the system call.
 */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A datagram of a dump is 32 KiB at most, unless one message is longer. */
#define NFT_LINK_BUFFER_LEN (256u * 1024)

struct nft_link { /* embedded */
	int fd;
	uint32_t port_id; /* of this socket; notifications name it as their cause */
	uint32_t seq;	  /* of the last request */
	void *buffer;	  /* NFT_LINK_BUFFER_LEN; NULL until it is used */
};

#define NFT_LINK_INIT ((struct nft_link){.fd = -1})

int nft_link_open(struct nft_link *link);
void nft_link_close(struct nft_link *link);
/* Frees the memory that large answers took. */
void nft_link_trim(struct nft_link *link);

/*
 * Sends a dump request and passes every message of the answer to message(),
 * which returns 0 or -errno.  -EINTR when the ruleset changed meanwhile: entries
 * may be missing then, and the caller starts over.
 */
int nft_link_dump(struct nft_link *link, struct nlmsghdr *request,
		  int (*message)(void *data, const struct nlmsghdr *message), void *data);

/* A request with one message as its answer; -ENOENT and the like when the kernel refuses. */
int nft_link_ask(struct nft_link *link, struct nlmsghdr *request,
		 int (*message)(void *data, const struct nlmsghdr *message), void *data);

/*
 * A request with any number of messages as its answer, then 0 or the reason
 * that there are no more. The request needs NLM_F_ACK.
 */
int nft_link_ask_many(struct nft_link *link, struct nlmsghdr *request,
		      int (*message)(void *data, const struct nlmsghdr *message),
		      void *data);

/*
 * buf is room for the message, of a type that aligns it; type is NFT_MSG_*, family
 * NFPROTO_*.
 */
#define NFT_REQUEST_N (512 / sizeof(struct nlmsghdr))
struct nlmsghdr *nft_link_request(struct nft_link *link,
				  struct nlmsghdr buf[static NFT_REQUEST_N],
				  uint16_t type, uint8_t family, uint16_t flags);

/* -EMSGSIZE, -ENOBUFS, -ENOMEM: too much for one datagram. */
int nft_link_send(struct nft_link *link, const struct iovec *parts, size_t n_parts);
/*
 * Passes all error messages that have arrived to fn, by sequence number; does
 * not wait. -ENOBUFS when some were lost; those passed to fn are still valid.
 */
int nft_link_errors(struct nft_link *link, void (*fn)(void *data, uint32_t seq, int err),
		    void *data);

/* The number of the ruleset's generation: every transaction of any process increases it. */
int nft_link_generation(struct nft_link *link, uint32_t *ret);
/* After one more transaction; of 0 (any generation) it is 0. */
uint32_t nft_link_next_generation(uint32_t generation);
