/*
 * The findings on a host, with settings in a folder and a fake list of chains.
 */
#include "tests/test.h"

#include <netinet/in.h> /* before the kernel's */

#include <errno.h>
#include <linux/netfilter.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/host/node_info.h"
#include "proxy/host/preconditions.h"
#include "tests/unit/world.h"

static struct nf_chain chains[8];
static size_t n_chains;

static bool can_list = true;
static const char *conntrack_count = "0";

static int list_chains(nf_chain_fn fn, void *data)
{
	if (!can_list)
		return -EPERM;
	for (size_t i = 0; i < n_chains; i++)
		fn(data, &chains[i]);
	return 0;
}

static void note(void *data, enum family family, unsigned clients, const char *finding)
{
	buf_printf(data, "%s %x: %s\n", family_name(family), clients, finding);
}

/* One line for each finding: the family, the clients, the text. */
static char *findings(const struct preconditions *like, const char *forward)
{
	struct preconditions p = *like;
	struct buf out = BUF_INIT;
	struct world w;

	world_open(&w);
	world_write(&w, "proc/sys/net/ipv4/ip_forward", forward);
	world_write(&w, "proc/sys/net/netfilter/nf_conntrack_count", conntrack_count);
	world_write(&w, "proc/sys/net/netfilter/nf_conntrack_max", "1000");
	p.root = w.folder;
	p.list_chains = list_chains;
	preconditions_check(&p, note, &out);
	world_close(&w);
	return buf_take(&out);
}

struct host {
	struct config config;
	struct node_info info;
	struct preconditions p;
	struct addr to;
};

static int set_up(void **state)
{
	struct host *h = xcalloc(1, sizeof(*h));
	struct addr addr;

	config_init(&h->config);
	config_complete(&h->config);
	node_info_init(&h->info, &h->config, "node-0");
	assert_int_equal(addr_parse("10.1.0.1", &addr), 0);
	node_info_set_hosts(&h->info, &addr, 1);
	assert_int_equal(addr_parse("127.0.0.1", &h->to), 0); /* there is a route to it */
	h->p = (struct preconditions){.node_info = &h->info, .to = &h->to};
	n_chains = 0;
	*state = h;
	return 0;
}

static int tear_down(void **state)
{
	struct host *h = *state;

	node_info_fini(&h->info);
	config_fini(&h->config);
	free(h);
	return 0;
}

static void expect(const struct host *h, const char *forward, const char *text)
{
	_cleanup_(freep) char *found = findings(&h->p, forward);

	assert_string_equal(found ? found : "", text);
}

static void a_host_that_forwards_has_no_findings(void **state)
{
	expect(*state, "1", "");
}

static void forwarding_that_is_off_is_found(void **state)
{
	expect(*state, "0",
	       "IPv4 5: net/ipv4/ip_forward is 0: the kernel forwards nothing to "
	       "endpoints; sysctl -w net/ipv4/ip_forward=1 turns it on\n");
}

static void a_forward_chain_that_drops_by_default_is_found(void **state)
{
	chains[n_chains++] = (struct nf_chain){
		.family = "ip",
		.table = "filter",
		.name = "FORWARD",
		.type = "filter",
		.hook = NF_INET_FORWARD,
		.is_drop = true,
	};
	expect(*state, "1",
	       "IPv4 5: chain FORWARD of table ip filter drops by default: only packets "
	       "that its "
	       "rules accept are forwarded to endpoints; let it accept those from and "
	       "to pods\n");
	chains[0].family = "ip6"; /* this host has no address of it */
	expect(*state, "1", "");
}

static void nat_chains_before_ours_are_found_and_later_ones_are_not(void **state)
{
	const struct nf_chain nat = {
		.family = "ip",
		.table = "other",
		.name = "early",
		.type = "nat",
		.hook = NF_INET_PRE_ROUTING,
		.priority = -105,
	};

	chains[0] = chains[1] = nat;
	chains[1].table = "sluice";
	chains[1].priority = -101;
	n_chains = 2;
	expect(*state, "1",
	       "IPv4 7: other nat chains come before ours (ip other early): an address "
	       "that they translate does not reach our rules; remove what they have "
	       "about Service addresses\n");
	chains[0].priority = -100;
	expect(*state, "1", "");
}

/* Only about addresses of this host: a node port, most often. */
static void chains_of_host_ports_are_found(void **state)
{
	struct host *h = *state;

	chains[n_chains++] = (struct nf_chain){.family = "ip",
					       .table = "nat",
					       .name = "CNI-HOSTPORT-DNAT",
					       .type = ""};
	chains[n_chains++] = (struct nf_chain){.family = "ip",
					       .table = "cni_hostport",
					       .name = "hostports",
					       .type = ""};
	chains[n_chains++] = (struct nf_chain){.family = "ip",
					       .table = "nat",
					       .name = "hostports",
					       .type = ""};
	expect(h, "1", "");
	assert_int_equal(addr_parse("10.1.0.1", &h->to), 0);
	node_info_set_hosts(&h->info, &h->to, 1);
	if (unshare(CLONE_NEWNET) != 0)
		skip();
	expect(h, "1",
	       "IPv4 2: there is no route to 10.1.0.1: packets that this node itself "
	       "sends there fail before they reach our rules; add a default route\n"
	       "IPv4 7: host ports of containers come after ours (ip nat "
	       "CNI-HOSTPORT-DNAT, ip cni_hostport hostports): a container with this "
	       "host port gets no packets, they go to the Service; change one of the "
	       "two ports\n");
}

static void rules_of_kube_proxy_are_found(void **state)
{
	chains[n_chains++] = (struct nf_chain){.family = "ip",
					       .table = "kube-proxy",
					       .name = "services",
					       .type = ""};
	chains[n_chains++] = (struct nf_chain){.family = "ip",
					       .table = "nat",
					       .name = "KUBE-SERVICES",
					       .type = ""};
	expect(*state, "1",
	       "IPv4 7: rules of kube-proxy are still there (ip kube-proxy services, ip "
	       "nat "
	       "KUBE-SERVICES): they may win; sluice cleanup --kube-proxy removes "
	       "them\n");
}

static void chains_that_cannot_be_listed_are_named(void **state)
{
	can_list = false;
	expect(*state, "1",
	       "IPv4 7: chains of other programs could not be looked at: they may drop "
	       "or translate first\n");
	can_list = true;
}

static void a_full_conntrack_table_is_found(void **state)
{
	conntrack_count = "950";
	expect(*state, "1",
	       "IPv4 7: connection tracking has 950 of at most 1000 flows: without room, "
	       "new connections are dropped; raise --conntrack-max-per-core, or "
	       "net.netfilter.nf_conntrack_max\n");
	conntrack_count = "949";
	expect(*state, "1", "");
}

static void an_address_without_a_route_is_found(void **state)
{
	struct host *h = *state;

	if (unshare(CLONE_NEWNET) != 0)
		skip();
	assert_int_equal(addr_parse("10.96.0.10", &h->to), 0);
	expect(h, "1",
	       "IPv4 2: there is no route to 10.96.0.10: packets that this node itself "
	       "sends "
	       "there "
	       "fail before they reach our rules; add a default route\n");
	h->p.to = NULL;
	expect(h, "1",
	       "IPv4 2: there is no default route: packets that this node itself sends "
	       "to a "
	       "Service fail where no other route leads; add one\n");
}

#define ON_HOST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_HOST(a_host_that_forwards_has_no_findings),
		ON_HOST(forwarding_that_is_off_is_found),
		ON_HOST(a_forward_chain_that_drops_by_default_is_found),
		ON_HOST(nat_chains_before_ours_are_found_and_later_ones_are_not),
		ON_HOST(rules_of_kube_proxy_are_found),
		ON_HOST(chains_that_cannot_be_listed_are_named),
		ON_HOST(a_full_conntrack_table_is_found),
		ON_HOST(chains_of_host_ports_are_found),
		ON_HOST(an_address_without_a_route_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
