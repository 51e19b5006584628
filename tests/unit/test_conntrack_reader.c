/*
 * Flows of a conntrack dump: whole, cut, garbage.
 */
#include "tests/test.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "rules/conntrack/conntrack_reader.h"

#define SEQ 7

struct datagram {
	_Alignas(struct nlmsghdr) char bytes[4096];
	size_t len;
};

static struct nlmsghdr *put_message(struct datagram *d, uint16_t type, uint32_t seq)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(d->bytes + d->len);

	nlh->nlmsg_type = type;
	nlh->nlmsg_seq = seq;
	return nlh;
}

static void put_flow_of(struct datagram *d, uint16_t flags, uint32_t seq, uint8_t proto)
{
	struct nf_conntrack *ct = nfct_new();
	struct nlmsghdr *nlh =
		put_message(d, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, seq);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_flags = flags;
	nfg->nfgen_family = AF_INET;
	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, AF_INET);
	nfct_set_attr_u8(ct, ATTR_REPL_L3PROTO, AF_INET);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, proto);
	nfct_set_attr_u8(ct, ATTR_REPL_L4PROTO, proto);
	nfct_set_attr_u32(ct, ATTR_ORIG_IPV4_SRC, htonl(0xcb007102));
	nfct_set_attr_u32(ct, ATTR_ORIG_IPV4_DST, htonl(0x0a60000a));
	nfct_set_attr_u32(ct, ATTR_REPL_IPV4_SRC, htonl(0x0a000005));
	nfct_set_attr_u32(ct, ATTR_REPL_IPV4_DST, htonl(0xcb007102));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, htons(4000));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, htons(53));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_SRC, htons(5353));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_DST, htons(4000));
	assert_true(nfct_nlmsg_build(nlh, ct) >= 0);
	nfct_destroy(ct);
	d->len += MNL_ALIGN(nlh->nlmsg_len);
}

static void put_flow(struct datagram *d, uint16_t flags, uint32_t seq)
{
	put_flow_of(d, flags, seq, IPPROTO_UDP);
}

/* To the only message. */
static void put_state(struct datagram *d, uint8_t proto, uint8_t state, uint32_t status)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)d->bytes;
	struct nlattr *info, *of_proto;
	bool is_tcp = proto == IPPROTO_TCP;

	mnl_attr_put_u32(nlh, CTA_STATUS, htonl(status));
	info = mnl_attr_nest_start(nlh, CTA_PROTOINFO);
	of_proto =
		mnl_attr_nest_start(nlh, is_tcp ? CTA_PROTOINFO_TCP : CTA_PROTOINFO_SCTP);
	mnl_attr_put_u8(nlh, is_tcp ? CTA_PROTOINFO_TCP_STATE : CTA_PROTOINFO_SCTP_STATE,
			state);
	mnl_attr_nest_end(nlh, of_proto);
	mnl_attr_nest_end(nlh, info);
	d->len = nlh->nlmsg_len;
}

/* To the only message; direction: CTA_COUNTERS_ORIG or _REPLY. */
static void put_counters(struct datagram *d, uint16_t direction, uint64_t n_packets,
			 uint64_t n_bytes)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)d->bytes;
	struct nlattr *nest = mnl_attr_nest_start(nlh, direction);

	mnl_attr_put_u64(nlh, CTA_COUNTERS_PACKETS, htobe64(n_packets));
	mnl_attr_put_u64(nlh, CTA_COUNTERS_BYTES, htobe64(n_bytes));
	mnl_attr_nest_end(nlh, nest);
	d->len = nlh->nlmsg_len;
}

static struct conntrack_traffic traffic_of(const struct datagram *d, uint8_t proto)
{
	struct conntrack_traffic traffic;

	conntrack_read_traffic((const void *)d->bytes, proto, &traffic);
	return traffic;
}

static void packets_and_bytes_are_read(void **state)
{
	struct datagram d = {0};
	struct conntrack_traffic t;

	(void)state;
	put_flow(&d, 0, SEQ);
	t = traffic_of(&d, IPPROTO_UDP);
	assert_false(t.has_counters);
	assert_false(t.is_ended);
	put_counters(&d, CTA_COUNTERS_ORIG, 3, 400);
	put_counters(&d, CTA_COUNTERS_REPLY, 2, 1ull << 33);
	t = traffic_of(&d, IPPROTO_UDP);
	assert_true(t.has_counters);
	assert_int_equal(t.n_packets[0], 3);
	assert_int_equal(t.n_bytes[0], 400);
	assert_int_equal(t.n_packets[1], 2);
	assert_int_equal(t.n_bytes[1], 1ull << 33);
}

static void connections_end_before_they_are_forgotten(void **state)
{
	static const struct {
		uint8_t proto, state;
		bool is_ended;
	} cases[] = {
		{IPPROTO_TCP, TCP_CONNTRACK_ESTABLISHED, false},
		{IPPROTO_TCP, TCP_CONNTRACK_FIN_WAIT, false},
		{IPPROTO_TCP, TCP_CONNTRACK_TIME_WAIT, true},
		{IPPROTO_TCP, TCP_CONNTRACK_CLOSE, true},
		{IPPROTO_SCTP, SCTP_CONNTRACK_ESTABLISHED, false},
		{IPPROTO_SCTP, SCTP_CONNTRACK_CLOSED, true},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct datagram d = {0};

		put_flow_of(&d, 0, SEQ, cases[i].proto);
		put_state(&d, cases[i].proto, cases[i].state, IPS_SEEN_REPLY);
		assert_int_equal(traffic_of(&d, cases[i].proto).is_ended,
				 cases[i].is_ended);
	}
}

static void put_end(struct datagram *d, uint16_t type, int err)
{
	struct nlmsghdr *nlh = put_message(d, type, SEQ);
	int *payload = mnl_nlmsg_put_extra_header(nlh, sizeof(*payload));

	*payload = err;
	d->len += MNL_ALIGN(nlh->nlmsg_len);
}

struct seen {
	size_t n;
	struct flow last;
};

static int note(void *data, const struct nlmsghdr *message)
{
	struct seen *seen = data;
	struct conntrack_flow found;

	if (!conntrack_read_flow(message, &found))
		return 0;
	assert_non_null(found.tuple);
	seen->n++;
	seen->last = found.flow;
	return 0;
}

static struct netlink_reader reader_of(struct seen *seen)
{
	return (struct netlink_reader){.seq = SEQ, .message = note, .data = seen};
}

static void every_flow_of_a_datagram_is_read(void **state)
{
	struct datagram d = {0};
	struct seen seen = {0};
	struct netlink_reader r = reader_of(&seen);
	char text[ADDR_TEXT_LEN];

	(void)state;
	put_flow(&d, NLM_F_MULTI, SEQ);
	put_flow(&d, NLM_F_MULTI, SEQ);
	assert_int_equal(netlink_reader_feed(&r, d.bytes, d.len), 1);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.last.proto, IPPROTO_UDP);
	assert_string_equal(addr_format(&seen.last.original.dst, text), "10.96.0.10");
	assert_int_equal(seen.last.original.dst_port, 53);
	assert_string_equal(addr_format(&seen.last.reply.src, text), "10.0.0.5");
	assert_int_equal(seen.last.reply.src_port, 5353);
	assert_string_equal(addr_format(&seen.last.original.src, text), "203.0.113.2");
	assert_int_equal(seen.last.original.src_port, 4000);
	assert_true(addr_equal(&seen.last.original.src, &seen.last.reply.dst));
	assert_int_equal(seen.last.reply.dst_port, 4000);
}

static const struct {
	uint8_t proto, state;
	uint32_t status;
	bool is_opening;
} opening_cases[] = {
	{IPPROTO_TCP, TCP_CONNTRACK_SYN_SENT, IPS_CONFIRMED, true},
	{IPPROTO_TCP, TCP_CONNTRACK_SYN_SENT, IPS_CONFIRMED | IPS_SEEN_REPLY, false},
	{IPPROTO_TCP, TCP_CONNTRACK_SYN_RECV, IPS_CONFIRMED, false},
	{IPPROTO_TCP, TCP_CONNTRACK_ESTABLISHED, IPS_CONFIRMED,
	 false}, /* found halfway */
	{IPPROTO_SCTP, SCTP_CONNTRACK_COOKIE_WAIT, IPS_CONFIRMED, true},
	{IPPROTO_SCTP, SCTP_CONNTRACK_COOKIE_WAIT, IPS_SEEN_REPLY, false},
	{IPPROTO_SCTP, SCTP_CONNTRACK_ESTABLISHED, IPS_CONFIRMED, false},
	{IPPROTO_UDP, 0, IPS_CONFIRMED, false},
};

static void opening_flows_have_no_answer_yet(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(opening_cases); i++) {
		struct datagram d = {0};
		struct seen seen = {0};
		struct netlink_reader r = reader_of(&seen);

		put_flow_of(&d, 0, SEQ, opening_cases[i].proto);
		put_state(&d, opening_cases[i].proto, opening_cases[i].state,
			  opening_cases[i].status);
		assert_int_equal(netlink_reader_feed(&r, d.bytes, d.len), 1);
		assert_int_equal(seen.n, 1);
		if (seen.last.is_opening != opening_cases[i].is_opening)
			fail_msg("case %zu", i);
	}
}

static void without_a_status_or_a_state_nothing_is_opening(void **state)
{
	struct datagram d = {0};
	struct seen seen = {0};
	struct netlink_reader r = reader_of(&seen);

	(void)state;
	put_flow_of(&d, 0, SEQ, IPPROTO_TCP);
	assert_int_equal(netlink_reader_feed(&r, d.bytes, d.len), 1);
	assert_int_equal(seen.n, 1);
	assert_false(seen.last.is_opening);
}

/* In a block of its exact size, so that a read beyond it is detected. */
static int feed_copy(struct netlink_reader *r, const void *bytes, size_t len)
{
	_cleanup_(freep) char *copy = xmalloc(len);

	memcpy(copy, bytes, len);
	return netlink_reader_feed(r, copy, len);
}

static void a_datagram_cut_anywhere_does_no_harm(void **state)
{
	struct datagram d = {0};
	struct seen seen = {0};
	struct netlink_reader r = reader_of(&seen);

	(void)state;
	put_flow_of(&d, NLM_F_MULTI, SEQ, IPPROTO_TCP);
	put_state(&d, IPPROTO_TCP, TCP_CONNTRACK_SYN_SENT, IPS_CONFIRMED);
	for (size_t len = 1; len < d.len; len++)
		assert_int_equal(feed_copy(&r, d.bytes, len), -EBADMSG);
	assert_int_equal(seen.n, 0);
}

static void no_changed_bytes_do_harm(void **state)
{
	struct datagram whole = {0};
	struct seen seen = {0};
	struct netlink_reader r = reader_of(&seen);

	(void)state;
	put_flow_of(&whole, NLM_F_MULTI, SEQ, IPPROTO_TCP);
	put_state(&whole, IPPROTO_TCP, TCP_CONNTRACK_SYN_SENT, IPS_CONFIRMED);
	put_flow(&whole, NLM_F_MULTI, SEQ);
	put_end(&whole, NLMSG_DONE, 0);
	for (size_t i = 0; i < whole.len; i++) {
		for (int value = 0; value < 256; value += 5) {
			struct datagram d = whole;

			d.bytes[i] = (char)value;
			assert_true(feed_copy(&r, d.bytes, d.len) <= 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flow_of_a_datagram_is_read),
		cmocka_unit_test(packets_and_bytes_are_read),
		cmocka_unit_test(connections_end_before_they_are_forgotten),
		cmocka_unit_test(opening_flows_have_no_answer_yet),
		cmocka_unit_test(without_a_status_or_a_state_nothing_is_opening),
		cmocka_unit_test(a_datagram_cut_anywhere_does_no_harm),
		cmocka_unit_test(no_changed_bytes_do_harm),
	};

	return cmocka_run_group_tests_name("conntrack reader", tests, NULL, NULL);
}
