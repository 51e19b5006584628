/*
 * The filter compares the cause of the first message of a datagram: all messages
 * of a datagram belong to one transaction.
 */
#include "rules/nft/nft_monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "core/utf8.h"
#include "rules/nft/nft_layout.h"
#include "rules/nft/nft_wire.h"

#define DATAGRAM_LEN (64u * 1024)
#define COMM_LEN     16 /* the kernel's limit, with the NUL */

static int attach_filter(int fd, uint32_t own_port_id)
{
	/* the load swaps the field, which is in host order: so is the constant */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(own_port_id), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = {N_ELEMENTS(code), code};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == -1)
		return -errno;
	return 0;
}

int nft_monitor_open(struct nft_monitor *m, uint32_t own_port_id)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	_cleanup_(closep) int fd = -1;
	int err;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    NETLINK_NETFILTER);
	if (fd == -1)
		return -errno;
	err = attach_filter(fd, own_port_id);
	if (err)
		return err;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1)
		return -errno;
	m->fd = take_fd(fd);
	return nft_monitor_subscribe(m, true);
}

int nft_monitor_subscribe(struct nft_monitor *m, bool on)
{
	int group = NFNLGRP_NFTABLES;
	int option = on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;

	if (setsockopt(m->fd, SOL_NETLINK, option, &group, sizeof(group)) == -1)
		return -errno;
	return 0;
}

void nft_monitor_close(struct nft_monitor *m)
{
	if (m->fd >= 0)
		(void)close(m->fd);
	m->fd = -1;
}

static enum family family_of(uint8_t number)
{
	unsigned family = 0;

	while (family < FAMILY_N && nft_family_number(family) != number)
		family++;
	return family;
}

static bool is_learned_set(const char *name)
{
	enum nft_set set = nft_set_find(name);

	return set != SET_N && nft_set_info(set)->flags & SET_IS_LEARNED;
}

static const char *string_attr(const struct nlmsghdr *message, uint16_t type)
{
	return netlink_string(netlink_attr(message, sizeof(struct nfgenmsg), type));
}

/* Every kind of object names its table in attribute 1, and an element its set in 2. */
static bool is_our_message(const struct nlmsghdr *message)
{
	unsigned type = message->nlmsg_type & 0xff;
	const struct nfgenmsg *general = mnl_nlmsg_get_payload(message);
	const char *table, *set;
	enum family family;

	if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || type == NFT_MSG_NEWGEN ||
	    type == NFT_MSG_TRACE ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*general))
		return false;
	family = family_of(general->nfgen_family);
	table = string_attr(message, 1);
	if (family == FAMILY_N || !table || strcmp(table, NFT_TABLE_NAME) != 0)
		return false;
	if (type != NFT_MSG_NEWSETELEM && type != NFT_MSG_DELSETELEM)
		return true;
	set = string_attr(message, NFTA_SET_ELEM_LIST_SET);
	return !set || !is_learned_set(set);
}

/* The end of a transaction names its process, since Linux 4.14. */
static bool is_end(const struct nlmsghdr *message)
{
	return message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN) &&
	       mnl_nlmsg_get_payload_len(message) >= sizeof(struct nfgenmsg);
}

static void note_end(struct nft_monitor *m, const struct nlmsghdr *message)
{
	const char *name = string_attr(message, NFTA_GEN_PROC_NAME);
	uint32_t pid;

	if (m->is_changed && name &&
	    netlink_u32(netlink_attr(message, sizeof(struct nfgenmsg), NFTA_GEN_PROC_PID),
			&pid)) {
		/* any bytes, chosen by the process, and cut by the kernel */
		_cleanup_(freep) char *comm = xstrndup(name, strnlen(name, COMM_LEN - 1));
		_cleanup_(freep) char *clean = utf8_clean(comm);

		(void)snprintf(m->by, sizeof(m->by), "%s (pid %u)", clean, pid);
	}
	m->is_changed = false;
}

bool nft_monitor_read(struct nft_monitor *m, const void *bytes, size_t len)
{
	const struct nlmsghdr *message = bytes;
	int left = (int)len;
	bool is_changed = false;

	for (; netlink_is_message(message, left);
	     message = mnl_nlmsg_next(message, &left)) {
		if (is_end(message)) {
			note_end(m, message);
		} else if (is_our_message(message)) {
			if (!m->is_changed)
				m->by[0] = '\0'; /* until the end of this one */
			is_changed = m->is_changed = true;
		}
	}
	return is_changed;
}

bool nft_monitor_drain(struct nft_monitor *m)
{
	_cleanup_(freep) void *bytes = xmalloc(DATAGRAM_LEN);
	bool is_changed = false;

	for (;;) {
		ssize_t len = recv(m->fd, bytes, DATAGRAM_LEN, MSG_TRUNC);

		if (len == -1 && errno == EINTR)
			continue;
		if (len == -1 && errno == ENOBUFS) {
			is_changed = true;
			continue;
		}
		if (len <= 0)
			return is_changed;
		is_changed |=
			len > DATAGRAM_LEN || nft_monitor_read(m, bytes, (size_t)len);
	}
}
