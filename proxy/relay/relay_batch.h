/*
 * A batch of datagrams: received by one system call each socket, sent by one for each
 * socket.  Sizes are kept.  The kernel joins datagrams of one sender (UDP_GRO), and
 * a joined one is sent with the size of its parts (UDP_SEGMENT); those of equal size
 * to the same receiver are joined here.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/relay/relay_poll.h"

#define RELAY_BATCH_N	    64
#define RELAY_BATCH_CONTROL 128

struct relay_datagram {
	const struct relay_watch *to; /* whose socket sends it; NULL: it is dropped */
	uint16_t segment_len;	      /* of its parts, when it is a joined one; else 0 */
};

struct relay_batch {
	unsigned n;
	bool can_join;
	struct mmsghdr messages[RELAY_BATCH_N]; /* msg_len: of the datagram */
	struct relay_datagram datagrams[RELAY_BATCH_N];
	struct iovec pieces[RELAY_BATCH_N];
	struct sockaddr_in6 senders[RELAY_BATCH_N]; /* or sockaddr_in */
	_Alignas(struct cmsghdr) char control[RELAY_BATCH_N][RELAY_BATCH_CONTROL];
	char *buffers;
};

struct relay_batch *relay_batch_new(void);
void relay_batch_free(struct relay_batch *b);

/* Appends up to max datagrams that wait at the socket. Their number, or -errno. */
int relay_batch_receive(struct relay_batch *b, int fd, unsigned max);
/* How many datagrams were joined to this one. */
unsigned relay_batch_n_parts(const struct relay_batch *b, unsigned i);

/*
 * Sends all, each by its socket: to msg_name, or with a connected socket to its peer.
 * The batch is empty afterwards. failed() gets those that could not be sent. It may
 * close the socket (-1): then the others of it fail with -ECANCELED.
 */
typedef void relay_batch_failed(void *data, const struct relay_watch *to, int err,
				unsigned n);
void relay_batch_send(struct relay_batch *b, relay_batch_failed *failed, void *data);
