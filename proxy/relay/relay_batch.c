/*
 * Buffers have room for the largest joined datagram.  Small ones use the first page of
 * their buffer only, and the distance between buffers keeps those pages from
 * sharing the same lines of the cache.
 */
#include "proxy/relay/relay_batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BUFFER_LEN	65536
#define BUFFER_DISTANCE (BUFFER_LEN + 832)
#define MAX_PARTS	64    /* of a joined datagram; the kernel's limit */
#define MAX_JOINED_LEN	65000 /* with all its parts */
#define MAX_PART_LEN	1452  /* larger ones rarely fit in the path's packets */

/* The messages of one socket. */
struct outgoing {
	const struct relay_watch *to;
	unsigned n, n_pieces;
	struct mmsghdr messages[RELAY_BATCH_N];
	uint16_t part_len[RELAY_BATCH_N]; /* 0: not joined */
	bool is_complete[RELAY_BATCH_N];  /* nothing can be joined to it any more */
	size_t len[RELAY_BATCH_N];
	struct iovec pieces[RELAY_BATCH_N];
	_Alignas(
		struct cmsghdr) char control[RELAY_BATCH_N][CMSG_SPACE(sizeof(uint16_t))];
};

/* Ready to receive into. */
static void reset(struct relay_batch *b, unsigned i)
{
	b->pieces[i] =
		(struct iovec){b->buffers + (size_t)i * BUFFER_DISTANCE, BUFFER_LEN};
	b->datagrams[i] = (struct relay_datagram){.to = NULL};
	b->messages[i].msg_hdr = (struct msghdr){
		.msg_name = &b->senders[i],
		.msg_namelen = sizeof(b->senders[i]),
		.msg_iov = &b->pieces[i],
		.msg_iovlen = 1,
		.msg_control = b->control[i],
		.msg_controllen = sizeof(b->control[i]),
	};
}

static bool can_join(void)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int none = 0;

	return fd >= 0 &&
	       setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof(none)) == 0;
}

struct relay_batch *relay_batch_new(void)
{
	struct relay_batch *b = xcalloc(1, sizeof(*b));

	b->can_join = can_join();
	b->buffers = xcalloc(RELAY_BATCH_N, BUFFER_DISTANCE);
	for (unsigned i = 0; i < RELAY_BATCH_N; i++)
		reset(b, i);
	return b;
}

void relay_batch_free(struct relay_batch *b)
{
	if (!b)
		return;
	free(b->buffers);
	free(b);
}

/* ---- receiving ---- */

static uint16_t joined_len(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int len;

		if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&len, CMSG_DATA(c), sizeof(len));
		return (uint16_t)len;
	}
	return 0;
}

int relay_batch_receive(struct relay_batch *b, int fd, unsigned max)
{
	unsigned room = RELAY_BATCH_N - b->n;
	int n = recvmmsg(fd, &b->messages[b->n], max < room ? max : room, MSG_DONTWAIT,
			 NULL);

	if (n == -1)
		return -errno;
	for (int i = 0; i < n; i++, b->n++) {
		struct mmsghdr *m = &b->messages[b->n];
		uint16_t part_len = joined_len(&m->msg_hdr);

		b->pieces[b->n].iov_len = m->msg_len;
		b->datagrams[b->n].segment_len = part_len < m->msg_len ? part_len : 0;
	}
	return n;
}

unsigned relay_batch_n_parts(const struct relay_batch *b, unsigned i)
{
	unsigned len = b->messages[i].msg_len, part_len = b->datagrams[i].segment_len;

	return part_len ? (len + part_len - 1) / part_len : 1;
}

/* ---- sending ---- */

static bool fits(const struct relay_batch *b, const struct outgoing *out, unsigned i)
{
	const struct mmsghdr *last = &out->messages[out->n - 1];
	unsigned len = b->messages[i].msg_len, at = out->n - 1;

	return b->can_join && !out->is_complete[at] && !b->datagrams[i].segment_len &&
	       len && len <= out->part_len[at] &&
	       last->msg_hdr.msg_name == b->messages[i].msg_hdr.msg_name &&
	       last->msg_hdr.msg_iovlen < MAX_PARTS &&
	       out->len[at] + len <= MAX_JOINED_LEN;
}

static void add_message(const struct relay_batch *b, struct outgoing *out, unsigned i)
{
	const struct msghdr *m = &b->messages[i].msg_hdr;
	unsigned len = b->messages[i].msg_len, at = out->n++;
	uint16_t part_len = b->datagrams[i].segment_len;

	out->messages[at].msg_hdr = (struct msghdr){
		.msg_name = m->msg_name,
		.msg_namelen = m->msg_namelen,
		.msg_iov = &out->pieces[out->n_pieces],
	};
	out->is_complete[at] = part_len || !len || len > MAX_PART_LEN;
	out->part_len[at] = part_len ? part_len : (uint16_t)len;
	out->len[at] = 0;
}

static void add(const struct relay_batch *b, struct outgoing *out, unsigned i)
{
	unsigned len = b->messages[i].msg_len, at;

	if (!out->n || !fits(b, out, i))
		add_message(b, out, i);
	at = out->n - 1;
	out->pieces[out->n_pieces++] = b->pieces[i];
	out->messages[at].msg_hdr.msg_iovlen++;
	out->len[at] += len;
	out->is_complete[at] |= len < out->part_len[at];
}

/* The size of the parts goes with the message, if it has several. */
static void close_message(struct outgoing *out, unsigned at)
{
	struct msghdr *m = &out->messages[at].msg_hdr;
	struct cmsghdr *c = (struct cmsghdr *)(void *)out->control[at];

	if (out->len[at] <= out->part_len[at])
		return;
	memset(out->control[at], 0, sizeof(out->control[at]));
	m->msg_control = out->control[at];
	m->msg_controllen = sizeof(out->control[at]);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
	memcpy(CMSG_DATA(c), &out->part_len[at], sizeof(uint16_t));
}

static unsigned n_parts(const struct outgoing *out, unsigned at)
{
	return out->len[at] > out->part_len[at]
		       ? (unsigned)((out->len[at] + out->part_len[at] - 1) /
				    out->part_len[at])
		       : 1;
}

/* Without UDP_SEGMENT: the interface or the path cannot do it. The number not sent. */
static unsigned send_parts(const struct outgoing *out, unsigned at, int *ret_err)
{
	const struct msghdr *m = &out->messages[at].msg_hdr;
	unsigned n_failed = 0;

	for (size_t i = 0; i < m->msg_iovlen; i++) {
		const char *bytes = m->msg_iov[i].iov_base;
		size_t len = m->msg_iov[i].iov_len, step = out->part_len[at];

		for (size_t done = 0; done < len; done += step) {
			size_t part = len - done < step ? len - done : step;

			if (sendto(out->to->fd, bytes + done, part,
				   MSG_DONTWAIT | MSG_NOSIGNAL, m->msg_name,
				   m->msg_namelen) >= 0)
				continue;
			*ret_err = -errno;
			n_failed++;
		}
	}
	return n_failed;
}

static bool is_about_size(int err)
{
	return err == -EINVAL || err == -EIO || err == -EMSGSIZE || err == -EOPNOTSUPP;
}

/* How many messages were sent; 0: why the first one was not. */
static unsigned send_from(struct outgoing *out, unsigned at, int *ret_err)
{
	int n;

	if (out->to->fd < 0) {
		*ret_err = -ECANCELED;
		return 0;
	}
	n = sendmmsg(out->to->fd, &out->messages[at], out->n - at,
		     MSG_DONTWAIT | MSG_NOSIGNAL);
	*ret_err = -errno;
	return n > 0 ? (unsigned)n : 0;
}

static void send_outgoing(struct outgoing *out, relay_batch_failed *failed, void *data)
{
	for (unsigned at = 0; at < out->n; at++)
		close_message(out, at);
	for (unsigned at = 0; at < out->n;) {
		int err;
		unsigned n_sent = send_from(out, at, &err), n_failed;

		at += n_sent;
		if (n_sent)
			continue;
		n_failed = n_parts(out, at);
		if (n_failed > 1 && is_about_size(err))
			n_failed = send_parts(out, at, &err);
		if (n_failed)
			failed(data, out->to, err, n_failed);
		at++;
	}
}

void relay_batch_send(struct relay_batch *b, relay_batch_failed *failed, void *data)
{
	struct outgoing out;
	bool is_done[RELAY_BATCH_N] = {false};

	for (unsigned i = 0; i < b->n; i++) {
		const struct relay_watch *to = b->datagrams[i].to;

		if (is_done[i] || !to)
			continue;
		out.to = to;
		out.n = out.n_pieces = 0;
		for (unsigned j = i; j < b->n; j++)
			if (b->datagrams[j].to == to) {
				is_done[j] = true;
				add(b, &out, j);
			}
		send_outgoing(&out, failed, data);
	}
	for (unsigned i = 0; i < b->n; i++)
		reset(b, i);
	b->n = 0;
}
