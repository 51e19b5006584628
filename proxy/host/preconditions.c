/*
 * A family is looked at when this host has an address of it.  Chains of
 * iptables-legacy are not visible here.
 */
#include "proxy/host/preconditions.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/host/node_info.h"

#define OUR_TABLE	 "sluice"
#define FORWARDED	 (1u << CLIENT_POD | 1u << CLIENT_EXTERNAL)
#define ALL_CLIENTS	 (FORWARDED | 1u << CLIENT_NODE)
#define OUR_PRIORITY	 (-101) /* used until our chains exist */
#define MAX_NAMED_CHAINS 4
#define CONNTRACK_SPARE	 20 /* a table is full when less than this part of it is free */

struct check {
	const struct preconditions *p;
	precondition_fn fn;
	void *data;
	bool has_family[FAMILY_N];
	int32_t our_priority;
	struct buf first;      /* chains that translate before ours */
	struct buf kube_proxy; /* its tables and chains */
	struct buf host_ports; /* of containers */
	size_t n_first, n_kube_proxy, n_host_ports;
};

static const struct {
	const char *setting;
	const char *
		route_to; /* a documentation address: only the default route leads there */
} families[FAMILY_N] = {
	[FAMILY_IPV4] = {"net/ipv4/ip_forward", "192.0.2.1"},
	[FAMILY_IPV6] = {"net/ipv6/conf/all/forwarding", "2001:db8::1"},
};

/* -1 when there is no such setting. */
static int read_setting(const struct preconditions *p, const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/proc/sys/%s", p->root, name);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	int value;

	return f && fscanf(f, "%d", &value) == 1 ? value : -1;
}

static bool has_route(const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, 9, &sa);
	_cleanup_(closep) int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* connecting a UDP socket looks the route up, and sends nothing */
	return fd == -1 || connect(fd, (struct sockaddr *)&sa, len) == 0 ||
	       (errno != ENETUNREACH && errno != EHOSTUNREACH);
}

static void check_settings(const struct check *c, enum family family)
{
	_cleanup_(freep) char *text = NULL;

	if (read_setting(c->p, families[family].setting) != 0)
		return;
	text = xasprintf("%s is 0: the kernel forwards nothing to endpoints; sysctl -w "
			 "%s=1 turns it on",
			 families[family].setting, families[family].setting);
	c->fn(c->data, family, FORWARDED, text);
}

static void check_route(const struct check *c, enum family family)
{
	char name[ADDR_TEXT_LEN];
	_cleanup_(freep) char *text = NULL;
	struct addr addr;

	if (c->p->to) {
		if (addr_family(c->p->to) != family || has_route(c->p->to))
			return;
		text = xasprintf(
			"there is no route to %s: packets that this node itself sends "
			"there fail before they reach our rules; add a default route",
			addr_format(c->p->to, name));
	} else {
		if (addr_parse(families[family].route_to, &addr) != 0 || has_route(&addr))
			return;
		text = xstrdup(
			"there is no default route: packets that this node itself sends "
			"to a Service fail where no other route leads; add one");
	}
	c->fn(c->data, family, 1u << CLIENT_NODE, text);
}

static void check_bridge(const struct check *c, enum family family)
{
	const char *name = family == FAMILY_IPV4 ? "net/bridge/bridge-nf-call-iptables"
						 : "net/bridge/bridge-nf-call-ip6tables";
	int value = read_setting(c->p, name);
	_cleanup_(freep) char *text = NULL;

	if (c->p->node_info->env.detector != POD_DETECTOR_BRIDGE || value > 0)
		return;
	text = xasprintf("%s is %s: answers between pods on the same bridge are not "
			 "translated back; %s",
			 name, value == 0 ? "0" : "missing",
			 value == 0 ? "set it to 1" : "load br_netfilter");
	c->fn(c->data, family, 1u << CLIENT_POD, text);
}

static bool is_of(const struct nf_chain *chain, enum family family)
{
	return strcmp(chain->family, "inet") == 0 ||
	       strcmp(chain->family, family == FAMILY_IPV4 ? "ip" : "ip6") == 0;
}

static bool is_nat(const struct nf_chain *chain)
{
	return strcmp(chain->type, "nat") == 0 &&
	       (chain->hook == NF_INET_PRE_ROUTING || chain->hook == NF_INET_LOCAL_OUT);
}

static void find_our_priority(void *data, const struct nf_chain *chain)
{
	struct check *c = data;

	if (is_nat(chain) && strcmp(chain->table, OUR_TABLE) == 0)
		c->our_priority = chain->priority;
}

static void add_name(struct buf *names, size_t *n, const struct nf_chain *chain)
{
	if ((*n)++ < MAX_NAMED_CHAINS)
		buf_printf(names, "%s%s %s %s", names->len ? ", " : "", chain->family,
			   chain->table, chain->name);
}

/* Of the plugin portmap, with its two backends, and of Docker. */
static bool is_of_host_ports(const struct nf_chain *chain)
{
	static const struct {
		const char *table, *name;
	} known[] = {
		{"nat", "CNI-HOSTPORT-DNAT"},
		{"cni_hostport", "hostports"},
		{"nat", "DOCKER"},
	};

	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (strcmp(chain->table, known[i].table) == 0 &&
		    strcmp(chain->name, known[i].name) == 0)
			return true;
	return false;
}

static bool is_to_host(const struct preconditions *p)
{
	for (size_t i = 0; p->to && i < p->node_info->n_hosts; i++)
		if (addr_equal(p->to, &p->node_info->hosts[i]))
			return true;
	return false;
}

static void look_at_chain(void *data, const struct nf_chain *chain)
{
	struct check *c = data;

	if (strcmp(chain->table, OUR_TABLE) == 0)
		return;
	if (strcmp(chain->table, "kube-proxy") == 0 ||
	    strcmp(chain->name, "KUBE-SERVICES") == 0)
		add_name(&c->kube_proxy, &c->n_kube_proxy, chain);
	else if (is_nat(chain) && chain->priority < c->our_priority)
		add_name(&c->first, &c->n_first, chain);
	else if (is_of_host_ports(chain) && is_to_host(c->p))
		add_name(&c->host_ports, &c->n_host_ports, chain);
	for (enum family family = 0; family < FAMILY_N; family++)
		if (c->has_family[family] && is_of(chain, family) && chain->is_drop &&
		    chain->hook == NF_INET_FORWARD &&
		    strcmp(chain->type, "filter") == 0) {
			_cleanup_(freep) char *text =
				xasprintf("chain %s of table %s %s drops by default: "
					  "only packets that its "
					  "rules accept are forwarded to endpoints; let "
					  "it accept those from and to pods",
					  chain->name, chain->family, chain->table);

			c->fn(c->data, family, FORWARDED, text);
		}
}

static void report_all(const struct check *c, const char *text)
{
	for (enum family family = 0; family < FAMILY_N; family++)
		if (c->has_family[family])
			c->fn(c->data, family, ALL_CLIENTS, text);
}

/* One table for both families. */
static void check_conntrack(const struct check *c)
{
	int count = read_setting(c->p, "net/netfilter/nf_conntrack_count"),
	    max = read_setting(c->p, "net/netfilter/nf_conntrack_max");
	_cleanup_(freep) char *text = NULL;

	if (count < 0 || max <= 0 || count < max - max / CONNTRACK_SPARE)
		return;
	text = xasprintf(
		"connection tracking has %d of at most %d flows: without room, "
		"new connections are dropped; raise --conntrack-max-per-core, or "
		"net.netfilter.nf_conntrack_max",
		count, max);
	report_all(c, text);
}

static void report_chains(const struct check *c, const struct buf *names, size_t n,
			  const char *what, const char *then)
{
	char more[32] = "";
	_cleanup_(freep) char *text = NULL;

	if (n == 0)
		return;
	if (n > MAX_NAMED_CHAINS)
		(void)snprintf(more, sizeof(more), " and %zu more", n - MAX_NAMED_CHAINS);
	text = xasprintf("%s (%s%s): %s", what, buf_string(names), more, then);
	report_all(c, text);
}

static void check_chains(struct check *c)
{
	c->our_priority = OUR_PRIORITY;
	if (c->p->list_chains(find_our_priority, c) != 0 ||
	    c->p->list_chains(look_at_chain, c) != 0) {
		/* without rights, or changing all the time */
		report_all(c, "chains of other programs could not be looked at: they may "
			      "drop or translate first");
		return;
	}
	report_chains(c, &c->kube_proxy, c->n_kube_proxy,
		      "rules of kube-proxy are still there",
		      "they may win; sluice cleanup --kube-proxy removes them");
	report_chains(c, &c->first, c->n_first, "other nat chains come before ours",
		      "an address that they translate does not reach our rules; remove "
		      "what they have about Service addresses");
	report_chains(c, &c->host_ports, c->n_host_ports,
		      "host ports of containers come after ours",
		      "a container with this host port gets no packets, they go to the "
		      "Service; change one of the two ports");
}

void preconditions_check(const struct preconditions *p, precondition_fn fn, void *data)
{
	struct check c = {
		.p = p,
		.fn = fn,
		.data = data,
		.first = BUF_INIT,
		.kube_proxy = BUF_INIT,
		.host_ports = BUF_INIT,
	};

	for (size_t i = 0; i < p->node_info->n_hosts; i++) {
		const struct addr *host = &p->node_info->hosts[i];

		if (!addr_is_loopback(host))
			c.has_family[addr_family(host)] = true;
	}
	for (enum family family = 0; family < FAMILY_N; family++)
		if (c.has_family[family]) {
			check_settings(&c, family);
			check_route(&c, family);
			check_bridge(&c, family);
		}
	check_conntrack(&c);
	if (p->list_chains)
		check_chains(&c);
	buf_fini(&c.first);
	buf_fini(&c.kube_proxy);
	buf_fini(&c.host_ports);
}
