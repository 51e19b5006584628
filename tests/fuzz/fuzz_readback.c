/*
 * What nf_tables answers when it is asked for tables, objects and elements.  The
 * kernel is the other end of a socket pair: whatever it says, the reader comes to
 * an end, and what it tells can be looked at.  The first byte says what is asked
 * for, the others are one datagram; the numbers of its messages are put right, or
 * nothing would ever be read.
 *
 * Sets, chains and rules are left out: libnftnl reads them, and ends the process
 * when an attribute has another size than its own headers say.
 */
#include <assert.h>
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

#define SEQ 1 /* of the first request */

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

static void ask_for(struct nft_link *link, uint8_t what)
{
	enum family family = what % FAMILY_N;
	uint32_t flags;
	bool exists;

	switch (what / FAMILY_N % 3) {
	case 0:
		(void)nft_read_table(link, family, &exists, &flags);
		break;
	case 1:
		(void)nft_read_objects(link, family, look_at_object, NULL);
		break;
	case 2:
		(void)nft_read_elements(link, family, SET_ENDPOINTS, look_at_element,
					NULL);
		break;
	}
}

static void number_messages(uint8_t *datagram, size_t len)
{
	struct nlmsghdr *message = (void *)datagram;

	for (int left = (int)len; netlink_is_message(message, left);
	     message = mnl_nlmsg_next(message, &left))
		message->nlmsg_seq = SEQ;
}

/* The answer, and ends for as many questions as there may be. */
static void answer(int fd, const uint8_t *bytes, size_t len)
{
	_cleanup_(freep) uint8_t *datagram =
		xmalloc(len); /* aligned as what is received */
	struct nlmsghdr done = {.nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE};

	memcpy(datagram, bytes, len);
	number_messages(datagram, len);
	(void)send(fd, datagram, len, 0);
	for (done.nlmsg_seq = SEQ; done.nlmsg_seq <= SEQ + 1; done.nlmsg_seq++)
		(void)send(fd, &done, sizeof(done), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct nft_link link = NFT_LINK_INIT;
	int fds[2];

	if (len < 2)
		return 0;
	/* of a kind that takes an address and doesn't care */
	assert(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0);
	link.fd = fds[0];
	link.buffer = xmalloc(NFT_LINK_BUFFER_LEN);
	answer(fds[1], bytes + 1, len - 1);
	ask_for(&link, bytes[0]);
	nft_link_close(&link);
	(void)close(fds[1]);
	return 0;
}
