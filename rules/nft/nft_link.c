/*
 * The socket, its requests, and their answers.
 */
#include "rules/nft/nft_link.h"

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

/* The kernel answers a request for many elements with a datagram for each. */
#define ELEMENT_LEN 2048

/* Without the capability for the first way, up to the system's limit. */
static void set_buffer(int fd, int force, int plain, int len)
{
	if (setsockopt(fd, SOL_SOCKET, force, &len, sizeof(len)) == -1)
		(void)setsockopt(fd, SOL_SOCKET, plain, &len, sizeof(len));
}

int nft_link_open(struct nft_link *link)
{
	/* The kernel answers inside the system call; this is for a kernel that does not. */
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

void nft_link_trim(struct nft_link *link)
{
	free(take_ptr(link->buffer));
}

static void *buffer(struct nft_link *link)
{
	if (!link->buffer)
		link->buffer = xmalloc(NFT_LINK_BUFFER_LEN);
	return link->buffer;
}

struct nlmsghdr *nft_link_request(struct nft_link *link,
				  struct nlmsghdr buf[static NFT_REQUEST_N],
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

/* Sends a request and reads its answer. */
static int run(struct nft_link *link, struct nlmsghdr *request, struct netlink_reader *r)
{
	const struct iovec part = {.iov_base = request, .iov_len = request->nlmsg_len};
	int err = nft_link_send(link, &part, 1);

	r->seq = request->nlmsg_seq;
	return err ? err
		   : netlink_reader_run(r, link->fd, buffer(link), NFT_LINK_BUFFER_LEN);
}

int nft_link_dump(struct nft_link *link, struct nlmsghdr *request,
		  int (*message)(void *data, const struct nlmsghdr *message), void *data)
{
	struct netlink_reader r = {.message = message, .data = data};
	int err;

	request->nlmsg_flags |= NLM_F_DUMP;
	err = run(link, request, &r);
	return !err && r.is_interrupted ? -EINTR : err;
}

int nft_link_ask(struct nft_link *link, struct nlmsghdr *request,
		 int (*message)(void *data, const struct nlmsghdr *message), void *data)
{
	struct netlink_reader r = {.is_single = true, .message = message, .data = data};

	return run(link, request, &r);
}

int nft_link_ask_many(struct nft_link *link, struct nlmsghdr *request,
		      int (*message)(void *data, const struct nlmsghdr *message),
		      void *data)
{
	struct netlink_reader r = {
		.datagram_len = ELEMENT_LEN,
		.message = message,
		.data = data,
	};

	return run(link, request, &r);
}

/* The errors in one datagram. */
static void take_errors(const struct nlmsghdr *message, int len,
			void (*fn)(void *data, uint32_t seq, int err), void *data)
{
	for (; netlink_is_message(message, len); message = mnl_nlmsg_next(message, &len))
		if (message->nlmsg_type == NLMSG_ERROR && netlink_error(message))
			fn(data, message->nlmsg_seq, netlink_error(message));
}

int nft_link_errors(struct nft_link *link, void (*fn)(void *data, uint32_t seq, int err),
		    void *data)
{
	bool is_lossy = false;

	for (;;) {
		ssize_t len = netlink_receive(link->fd, buffer(link), NFT_LINK_BUFFER_LEN,
					      MSG_DONTWAIT);

		if (len == -EAGAIN)
			return is_lossy ? -ENOBUFS : 0;
		if (len < 0 && len != -ENOBUFS)
			return (int)len;
		is_lossy |= len < 0;
		take_errors(link->buffer, (int)len, fn, data);
	}
}

static int take_generation(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *attr =
		netlink_attr(message, sizeof(struct nfgenmsg), NFTA_GEN_ID);

	return netlink_u32(attr, data) ? 0 : -EBADMSG;
}

int nft_link_generation(struct nft_link *link, uint32_t *ret)
{
	struct nlmsghdr buf[NFT_REQUEST_N];

	return nft_link_ask(link, nft_link_request(link, buf, NFT_MSG_GETGEN, 0, 0),
			    take_generation, ret);
}

uint32_t nft_link_next_generation(uint32_t generation)
{
	return generation == UINT32_MAX ? 1 : generation + !!generation;
}
