#include "tests/kernel/made_flow.h"

#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_sctp.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <string.h>

#include "core/addr.h"

#define CLIENT_PORTS 50000 /* of one client */
#define FIRST_PORT   1000

static void set_addr(struct nf_conntrack *ct, const struct addr *a,
		     enum nf_conntrack_attr ipv4, enum nf_conntrack_attr ipv6)
{
	size_t len;
	const uint8_t *bytes = addr_bytes(a, &len);

	nfct_set_attr(ct, addr_family(a) == FAMILY_IPV4 ? ipv4 : ipv6, bytes);
}

static struct addr client_addr(enum family family)
{
	struct addr a;

	assert_int_equal(addr_parse(family == FAMILY_IPV4 ? "203.0.113.2"
							  : "2001:db8:ff::2",
				    &a),
			 0);
	return a;
}

/* From a client, each with its own port. */
static struct nf_conntrack *flow_new(const struct made_flow *f, uint16_t client_port)
{
	struct nf_conntrack *ct = nfct_new();
	uint8_t proto = (uint8_t)f->proto;
	bool is_opening = f->proto & MADE_FLOW_OPENING;
	struct addr dst, reply_src, client;
	uint16_t dst_port, reply_src_port;
	uint8_t af;

	assert_int_equal(addr_port_parse(f->dst, &dst, &dst_port), 0);
	assert_int_equal(addr_port_parse(f->reply_src, &reply_src, &reply_src_port), 0);
	client = client_addr(addr_family(&dst));
	af = (uint8_t)family_af(addr_family(&dst));
	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, af);
	nfct_set_attr_u8(ct, ATTR_REPL_L3PROTO, af);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, proto);
	nfct_set_attr_u8(ct, ATTR_REPL_L4PROTO, proto);
	set_addr(ct, &client, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
	set_addr(ct, &dst, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
	set_addr(ct, &reply_src, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
	set_addr(ct, &client, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST);
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, htons(client_port));
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, htons(dst_port));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_SRC, htons(reply_src_port));
	nfct_set_attr_u16(ct, ATTR_REPL_PORT_DST, htons(client_port));
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 600);
	if (!is_opening)
		nfct_set_attr_u32(ct, ATTR_STATUS, IPS_SEEN_REPLY | IPS_ASSURED);
	if (proto == IPPROTO_TCP)
		nfct_set_attr_u8(ct, ATTR_TCP_STATE,
				 is_opening ? TCP_CONNTRACK_SYN_SENT
					    : TCP_CONNTRACK_ESTABLISHED);
	if (proto == IPPROTO_SCTP) {
		nfct_set_attr_u8(ct, ATTR_SCTP_STATE,
				 is_opening ? SCTP_CONNTRACK_COOKIE_WAIT
					    : SCTP_CONNTRACK_ESTABLISHED);
		nfct_set_attr_u32(ct, ATTR_SCTP_VTAG_ORIG, 1);
		nfct_set_attr_u32(ct, ATTR_SCTP_VTAG_REPL, 2);
	}
	return ct;
}

static int ask(enum nf_conntrack_query query, const struct made_flow *f,
	       uint16_t client_port)
{
	struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
	struct nf_conntrack *ct = flow_new(f, client_port);
	int err;

	assert_non_null(handle);
	err = nfct_query(handle, query, ct) == -1 ? -errno : 0;
	nfct_destroy(ct);
	(void)nfct_close(handle);
	return err;
}

void made_flows_create(const struct made_flow *flows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ask(NFCT_Q_CREATE, &flows[i],
				     (uint16_t)(FIRST_PORT + i)),
				 0);
}

void made_flows_expect(const struct made_flow *flows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int err = ask(NFCT_Q_GET, &flows[i], (uint16_t)(FIRST_PORT + i));

		if (err != (flows[i].is_kept ? 0 : -ENOENT))
			fail_msg("flow to %s answered by %s: %s", flows[i].dst,
				 flows[i].reply_src, strerror(-err));
	}
}

int made_flow_create(const struct made_flow *f, uint16_t client_port)
{
	return ask(NFCT_Q_CREATE, f, client_port);
}

void made_flows_create_many(const struct made_flow flows[2], size_t n)
{
	struct nfct_handle *handle = nfct_open(CONNTRACK, 0);

	assert_non_null(handle);
	for (size_t i = 0; i < n; i++) {
		struct nf_conntrack *ct =
			flow_new(&flows[i % 2],
				 (uint16_t)(FIRST_PORT + i % CLIENT_PORTS));
		uint32_t client = htonl((uint32_t)(0xcb007200 + i / CLIENT_PORTS));

		nfct_set_attr_u32(ct, ATTR_ORIG_IPV4_SRC, client);
		nfct_set_attr_u32(ct, ATTR_REPL_IPV4_DST, client);
		assert_int_equal(nfct_query(handle, NFCT_Q_CREATE, ct), 0);
		nfct_destroy(ct);
	}
	(void)nfct_close(handle);
}
