/*
 * The name of the process that changed the ruleset is what it called itself: the kernel
 * cuts it after 15 bytes, and a process may choose any.
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "rules/nft/nft_layout.h"
#include "rules/nft/nft_monitor.h"
#include "rules/nft/nft_wire.h"

static struct nlmsghdr *put_header(void *buf, uint16_t type, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *general;

	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	general = mnl_nlmsg_put_extra_header(nlh, sizeof(*general));
	general->nfgen_family = family;
	return nlh;
}

/* A change of our table, and the end of its transaction. */
static const char *name_of(struct nft_monitor *m, const char *comm)
{
	_Alignas(struct nlmsghdr) char buf[512] = {0};
	struct nlmsghdr *change = put_header(buf, NFT_MSG_DELRULE,
					     nft_family_number(FAMILY_IPV4)),
			*end;

	mnl_attr_put_strz(change, NFTA_RULE_TABLE, NFT_TABLE_NAME);
	end = put_header(buf + change->nlmsg_len, NFT_MSG_NEWGEN, AF_UNSPEC);
	mnl_attr_put_u32(end, NFTA_GEN_PROC_PID, htonl(4294967295u));
	mnl_attr_put_strz(end, NFTA_GEN_PROC_NAME, comm);
	assert_true(nft_monitor_read(m, buf, change->nlmsg_len + end->nlmsg_len));
	return m->by;
}

static const struct {
	const char *comm, *by;
} names[] = {
	{"nft", "nft (pid 4294967295)"},
	{"ähm", "ähm (pid 4294967295)"},
	{"a\033[2Jb\nc", "a\ufffd[2Jb\ufffdc (pid 4294967295)"},
	/* cut within a character */
	{"four4four4four\xc3", "four4four4four\ufffd (pid 4294967295)"},
	{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	 "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"
	 "\ufffd\ufffd (pid 4294967295)"},
};

static void a_process_name_is_text_whatever_its_bytes_are(void **state)
{
	struct nft_monitor m = NFT_MONITOR_INIT;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		assert_string_equal(name_of(&m, names[i].comm), names[i].by);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_name_is_text_whatever_its_bytes_are),
	};

	return cmocka_run_group_tests_name("nft_monitor", tests, NULL, NULL);
}
