/*
 * mnl_cb_run() is not used: it drops the messages of an interrupted dump, and
 * before libmnl 1.0.5 the error in NLMSG_DONE.
 */
#include "core/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"

/* Datagrams without a message of the answer: left over from requests that failed. */
#define UNRELATED_MAX 1024

/* Datagrams of one system call, which costs more than receiving one. */
struct batch {
	struct mmsghdr messages[32];
	struct iovec parts[32];
	struct sockaddr_nl senders[32];
};

/* Walks on its own: mnl_attr_for_each() makes four calls for each attribute. */
static const struct nlattr *find_attr(const char *at, size_t left, uint16_t type)
{
	while (left >= sizeof(struct nlattr)) {
		const struct nlattr *attr = (const void *)at;
		size_t len = NLA_ALIGN(attr->nla_len);

		if (attr->nla_len < sizeof(*attr) || attr->nla_len > left)
			return NULL;
		if ((attr->nla_type & NLA_TYPE_MASK) == type)
			return attr;
		at += len;
		left -= len < left ? len : left;
	}
	return NULL;
}

const struct nlattr *netlink_attr(const struct nlmsghdr *message, size_t header_len,
				  uint16_t type)
{
	size_t first = NLMSG_HDRLEN + NLMSG_ALIGN(header_len);

	return message->nlmsg_len < first ? NULL
					  : find_attr((const char *)message + first,
						      message->nlmsg_len - first, type);
}

const struct nlattr *netlink_attr_in(const struct nlattr *nest, uint16_t type)
{
	return nest ? find_attr(mnl_attr_get_payload(nest),
				mnl_attr_get_payload_len(nest), type)
		    : NULL;
}

bool netlink_has_len(const struct nlattr *attr, size_t len)
{
	return attr && mnl_attr_get_payload_len(attr) == len;
}

const char *netlink_string(const struct nlattr *attr)
{
	return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0
		       ? mnl_attr_get_str(attr)
		       : NULL;
}

bool netlink_u32(const struct nlattr *attr, uint32_t *ret)
{
	if (!netlink_has_len(attr, sizeof(*ret)))
		return false;
	*ret = ntohl(mnl_attr_get_u32(attr));
	return true;
}

/* Both start with an int; that of NLMSG_DONE may be missing. */
int netlink_error(const struct nlmsghdr *message)
{
	int err = 0;

	if (mnl_nlmsg_get_payload_len(message) >= sizeof(err))
		memcpy(&err, mnl_nlmsg_get_payload(message), sizeof(err));
	else if (message->nlmsg_type == NLMSG_ERROR)
		return -EBADMSG;
	return err > 0 ? -EBADMSG : err;
}

/* 1: the answer continues. */
static int take_message(struct netlink_reader *r, const struct nlmsghdr *message)
{
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		r->is_interrupted = true;
	if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
		return r->err ? r->err : netlink_error(message);
	if (message->nlmsg_type < NLMSG_MIN_TYPE)
		return message->nlmsg_type == NLMSG_OVERRUN ? -ENOBUFS : 1;
	if (!r->err)
		r->err = r->message(r->data, message);
	return r->is_single ? r->err : 1;
}

static int feed(struct netlink_reader *r, const void *datagram, size_t len,
		bool *ret_is_related)
{
	const struct nlmsghdr *message = datagram;
	int left = len > INT32_MAX ? INT32_MAX : (int)len, result;

	for (; netlink_is_message(message, left);
	     message = mnl_nlmsg_next(message, &left)) {
		if (message->nlmsg_seq != r->seq)
			continue;
		*ret_is_related = true;
		result = take_message(r, message);
		if (result != 1)
			return result;
	}
	return left > 0 ? -EBADMSG : 1;
}

int netlink_reader_feed(struct netlink_reader *r, const void *datagram, size_t len)
{
	bool is_related;

	return feed(r, datagram, len, &is_related);
}

static bool is_of_other_process(const struct msghdr *message)
{
	const struct sockaddr_nl *sender = message->msg_name;

	return message->msg_namelen == sizeof(*sender) && sender->nl_pid != 0;
}

ssize_t netlink_receive(int fd, void *buffer, size_t len, int flags)
{
	for (;;) {
		struct sockaddr_nl sender = {0};
		struct iovec part = {.iov_base = buffer, .iov_len = len};
		struct msghdr message = {
			.msg_name = &sender,
			.msg_namelen = sizeof(sender),
			.msg_iov = &part,
			.msg_iovlen = 1,
		};
		ssize_t received = recvmsg(fd, &message, flags | MSG_TRUNC);

		if (received == -1 && errno == EINTR)
			continue;
		if (received == -1)
			return -errno;
		if (is_of_other_process(&message))
			continue;
		return (size_t)received <= len ? received : -EMSGSIZE;
	}
}

/*
 * As many datagrams as are there, waiting for the first: their number, or -errno
 * as netlink_reader_run().
 */
static int receive_some(const struct netlink_reader *r, int fd, char *buffer, size_t len,
			struct batch *b)
{
	size_t piece_len = r->datagram_len ? r->datagram_len : len;
	unsigned int n = 0;
	int received;

	for (; n < N_ELEMENTS(b->messages) && (n + 1) * piece_len <= len; n++) {
		b->parts[n] = (struct iovec){buffer + n * piece_len, piece_len};
		b->messages[n].msg_hdr = (struct msghdr){
			.msg_name = &b->senders[n],
			.msg_namelen = sizeof(b->senders[n]),
			.msg_iov = &b->parts[n],
			.msg_iovlen = 1,
		};
	}
	do {
		received = recvmmsg(fd, b->messages, n, MSG_WAITFORONE, NULL);
	} while (received == -1 && errno == EINTR);
	return received == -1 ? (errno == EAGAIN ? -ETIMEDOUT : -errno) : received;
}

/* The result of its messages; counts datagrams that have none of the answer. */
static int take_received(struct netlink_reader *r, const struct mmsghdr *received,
			 unsigned int *n_unrelated)
{
	const struct msghdr *header = &received->msg_hdr;
	bool is_related = false;
	int result;

	if (is_of_other_process(header))
		return 1;
	if (header->msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if (received->msg_len == 0)
		return -EBADMSG;
	result = feed(r, header->msg_iov->iov_base, received->msg_len, &is_related);
	*n_unrelated += !is_related;
	return result;
}

int netlink_reader_run(struct netlink_reader *r, int fd, void *buffer, size_t len)
{
	unsigned int n_unrelated = 0;
	struct batch b;

	while (n_unrelated <= UNRELATED_MAX) {
		int n = receive_some(r, fd, buffer, len, &b);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			int result = take_received(r, &b.messages[i], &n_unrelated);

			if (result != 1)
				return result;
		}
	}
	return -EBADMSG;
}
