/*
 * Answers of nf_tables to requests for tables, objects and elements.  The kernel
 * is the other end of a socket pair: for any answer the reader ends, and what it
 * passes on is valid.  The first byte selects the request, and whether the dump
 * ends with an error; the others are one datagram, whose messages get the
 * sequence number of the request, or none would be read.
 *
 * Sets, chains and rules are left out: libnftnl reads them, and ends the process
 * when an attribute has another size than in its own headers.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "rules/nft/nft_read.h"
#include "rules/nft/nft_wire.h"

#define SEQ	   1 /* of the first request */
#define N_REQUESTS 3
#define DONE_ERROR (-EIO)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t looked; /* so that looking isn't left out */

static void look_at_object(void *data, const struct nft_object *object)
{
	(void)data;
	looked += strlen(object->name);
}

static void look_at_element(void *data, const struct nft_read_element *read)
{
	(void)data;
	assert(read->e.key_len <= NFT_KEY_MAX && read->e.value_len <= NFT_VALUE_MAX);
	looked += read->e.key_len;
}

static int ask_for(struct nft_link *link, uint8_t what)
{
	enum family family = what % FAMILY_N;
	struct nft_table_info table;

	switch (what / FAMILY_N % N_REQUESTS) {
	case 0:
		return nft_read_table(link, family, &table);
	case 1:
		return nft_read_objects(link, family, look_at_object, NULL);
	default:
		return nft_read_elements(link, family, SET_ENDPOINTS, look_at_element,
					 NULL);
	}
}

/* False when one of the messages ends the answer. */
static bool number_messages(uint8_t *datagram, size_t len)
{
	struct nlmsghdr *message = (void *)datagram;
	bool is_open = true;

	for (int left = (int)len; netlink_is_message(message, left);
	     message = mnl_nlmsg_next(message, &left)) {
		message->nlmsg_seq = SEQ;
		is_open &= message->nlmsg_type != NLMSG_DONE &&
			   message->nlmsg_type != NLMSG_ERROR;
	}
	return is_open;
}

/* The answer, and an end for each of the requests that there may be. */
static bool answer(int fd, const uint8_t *bytes, size_t len, int err)
{
	_cleanup_(freep) uint8_t *datagram = xmalloc(len); /* aligned as a received one */
	struct {
		struct nlmsghdr header;
		int err;
	} done = {{.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE}, err};
	bool is_open;

	memcpy(datagram, bytes, len);
	is_open = number_messages(datagram, len);
	(void)send(fd, datagram, len, 0);
	for (done.header.nlmsg_seq = SEQ; done.header.nlmsg_seq <= SEQ + 1;
	     done.header.nlmsg_seq++)
		(void)send(fd, &done, sizeof(done), 0);
	return is_open;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct nft_link link = NFT_LINK_INIT;
	int fds[2], err, result;
	bool is_open;

	if (len < 2)
		return 0;
	/* of a type that accepts an address and ignores it */
	assert(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0);
	link.fd = fds[0];
	link.buffer = xmalloc(NFT_LINK_BUFFER_LEN);
	err = bytes[0] & 0x80 ? DONE_ERROR : 0;
	is_open = answer(fds[1], bytes + 1, len - 1, err);
	result = ask_for(&link, bytes[0]);
	assert(result <= 0);
	if (is_open && bytes[0] / FAMILY_N % N_REQUESTS > 1)
		assert(!err || result); /* a listing that ended early is not complete */
	nft_link_close(&link);
	(void)close(fds[1]);
	return 0;
}
