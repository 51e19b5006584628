/*
 * The socket, and the ways that its answers come in.
 */
#include "rules/nft/nft_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "rules/nft/nft_wire.h"

#define SEND_LEN    (1 << 30)
#define RECEIVE_LEN (32 << 20)

/* Without the capability for the first way, as far as the system lets anybody. */
static void set_buffer(int fd, int force, int plain, int len)
{
	if (setsockopt(fd, SOL_SOCKET, force, &len, sizeof(len)) == -1)
		(void)setsockopt(fd, SOL_SOCKET, plain, &len, sizeof(len));
}

int nft_link_open(struct nft_link *link)
{
	/* The kernel answers inside the system call; this is for the day it doesn't. */
	const struct timeval patience = {.tv_sec = 10};
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(address);
	_cleanup_(closep) int fd = -1;
	int on = 1;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd == -1)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) == -1)
		return -errno;
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_LEN);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_LEN);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* Refusals need not carry the refused message; older kernels send it along. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));

	*link = (struct nft_link){
		.fd = take_fd(fd),
		.port_id = address.nl_pid,
		.buffer = xmalloc(NFT_LINK_BUFFER_LEN),
	};
	return 0;
}

void nft_link_close(struct nft_link *link)
{
	if (link->fd >= 0)
		(void)close(link->fd);
	free(link->buffer);
	*link = NFT_LINK_INIT;
}

struct nlmsghdr *nft_link_request(struct nft_link *link, char buf[static NFT_REQUEST_LEN],
				  uint16_t type, uint8_t family, uint16_t flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *general = mnl_nlmsg_put_extra_header(message, sizeof(*general));

	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = ++link->seq;
	general->nfgen_family = family;
	general->version = NFNETLINK_V0;
	return message;
}

int nft_link_send(struct nft_link *link, const struct iovec *parts, size_t n_parts)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const struct msghdr message = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = (struct iovec *)(uintptr_t)parts,
		.msg_iovlen = n_parts,
	};

	while (sendmsg(link->fd, &message, 0) == -1)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* One datagram into the buffer: its length, or -errno. */
static ssize_t receive(struct nft_link *link, int flags)
{
	for (;;) {
		ssize_t len = recv(link->fd, link->buffer, NFT_LINK_BUFFER_LEN,
				   flags | MSG_TRUNC);

		if (len >= 0)
			return len <= NFT_LINK_BUFFER_LEN ? len : -EMSGSIZE;
		if (errno != EINTR)
			return -errno;
	}
}

static int error_of(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

	if (mnl_nlmsg_get_payload_len(message) < sizeof(error->error))
		return -EBADMSG;
	return error->error > 0 ? -error->error : error->error;
}

/* A round of question and answers. */
struct round {
	uint32_t seq;
	bool has_many, is_done, is_interrupted;
	int (*message)(void *data, const struct nlmsghdr *message);
	void *data;
	int err;
};

static void take_message(struct round *r, const struct nlmsghdr *message)
{
	if (message->nlmsg_seq != r->seq)
		return; /* left over from a round that failed */
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		r->is_interrupted = true;
	if (message->nlmsg_type == NLMSG_DONE) {
		r->is_done = true;
	} else if (message->nlmsg_type == NLMSG_ERROR) {
		r->is_done = true;
		r->err = error_of(message);
	} else if (!r->err && !r->is_interrupted) {
		r->err = r->message(r->data, message);
		r->is_done = !r->has_many;
	}
}

static int take_answers(struct nft_link *link, struct round *r)
{
	while (!r->is_done) {
		ssize_t received = receive(link, 0);
		const struct nlmsghdr *message = link->buffer;
		int len = (int)received;

		if (received < 0)
			return received == -EAGAIN ? -ETIMEDOUT : (int)received;
		for (; netlink_is_message(message, len) && !r->is_done;
		     message = mnl_nlmsg_next(message, &len))
			take_message(r, message);
	}
	return r->err;
}

static int run_round(struct nft_link *link, struct nlmsghdr *request, struct round *r)
{
	const struct iovec part = {.iov_base = request, .iov_len = request->nlmsg_len};
	int err;

	r->seq = request->nlmsg_seq;
	err = nft_link_send(link, &part, 1);
	return err ? err : take_answers(link, r);
}

int nft_link_dump(struct nft_link *link, struct nlmsghdr *request,
		  int (*message)(void *data, const struct nlmsghdr *message), void *data)
{
	struct round r = {.has_many = true, .message = message, .data = data};
	int err;

	request->nlmsg_flags |= NLM_F_DUMP;
	err = run_round(link, request, &r);
	return !err && r.is_interrupted ? -EINTR : err;
}

int nft_link_ask(struct nft_link *link, struct nlmsghdr *request,
		 int (*message)(void *data, const struct nlmsghdr *message), void *data)
{
	struct round r = {.message = message, .data = data};

	return run_round(link, request, &r);
}

int nft_link_ask_many(struct nft_link *link, struct nlmsghdr *request,
		      int (*message)(void *data, const struct nlmsghdr *message),
		      void *data)
{
	struct round r = {.has_many = true, .message = message, .data = data};

	return run_round(link, request, &r);
}

int nft_link_errors(struct nft_link *link, void (*fn)(void *data, uint32_t seq, int err),
		    void *data)
{
	bool is_lossy = false;

	for (;;) {
		ssize_t received = receive(link, MSG_DONTWAIT);
		const struct nlmsghdr *message = link->buffer;
		int len = (int)received;

		if (received == -EAGAIN)
			return is_lossy ? -ENOBUFS : 0;
		if (received < 0 && received != -ENOBUFS)
			return (int)received;
		is_lossy |= received < 0;
		for (; received > 0 && netlink_is_message(message, len);
		     message = mnl_nlmsg_next(message, &len))
			if (message->nlmsg_type == NLMSG_ERROR && error_of(message))
				fn(data, message->nlmsg_seq, error_of(message));
	}
}

static int take_generation(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *attr;

	mnl_attr_for_each(
		attr, message,
		sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) == NFTA_GEN_ID &&
					     mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
	{
		*(uint32_t *)data = ntohl(mnl_attr_get_u32(attr));
		return 0;
	}
	return -EBADMSG;
}

int nft_link_generation(struct nft_link *link, uint32_t *ret)
{
	char buf[NFT_REQUEST_LEN];

	return nft_link_ask(link, nft_link_request(link, buf, NFT_MSG_GETGEN, 0, 0),
			    take_generation, ret);
}
