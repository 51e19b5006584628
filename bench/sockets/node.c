#include "bench/sockets/node.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/rows.h"
#include "bench/sockets/home.h"
#include "bench/workload.h"
#include "bpf/ebpf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft.h"

#define RECEIVE_SEC 5

static const char host_script[] = "link set lo up\n"
				  "link add client0 type veth peer name eth0 netns %s\n"
				  "link add server0 type veth peer name eth0 netns %s\n"
				  "addr add 169.254.2.1/30 dev client0\n"
				  "addr add 169.254.1.1/30 dev server0\n"
				  "link set client0 up\n"
				  "link set server0 up\n"
				  "route add 10.255.0.2/32 via 169.254.2.2\n"
				  "route add 10.128.0.0/10 via 169.254.1.2\n"
				  "route add default via 169.254.1.2\n";

static const char client_script[] = "link set lo up\n"
				    "addr add 10.255.0.2/32 dev lo\n"
				    "addr add 169.254.2.2/30 dev eth0\n"
				    "link set eth0 up\n"
				    "route add default via 169.254.2.1 src 10.255.0.2\n";

static const char server_script[] = "link set lo up\n"
				    "addr add 169.254.1.2/30 dev eth0\n"
				    "link set eth0 up\n"
				    "route add local 10.128.0.0/10 dev lo\n"
				    "route add default via 169.254.1.1\n";

static const struct setting {
	const char *name, *value;
} client_settings[] = {
	/* short connections must not use up the ports */
	{"ipv4/ip_local_port_range", "1024 65535"},
	{"ipv4/tcp_tw_reuse", "1"},
};

static const struct setting conntrack_settings[] = {
	{"netfilter/nf_conntrack_tcp_timeout_time_wait", "1"},
	{"netfilter/nf_conntrack_tcp_timeout_close", "1"},
	{"netfilter/nf_conntrack_tcp_timeout_last_ack", "1"},
};

void node_enter(const struct node *node, enum node_place place)
{
	if (setns(node->ns[place], CLONE_NEWNET) != 0)
		rows_fail(-errno, "setns");
}

static void set(const struct setting *settings, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *path =
			xasprintf("/proc/sys/net/%s", settings[i].name);
		_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, settings[i].value, strlen(settings[i].value)) < 0)
			rows_fail(-errno, "%s", path);
	}
}

void node_configure(const struct node *node, enum node_place place, const char *script)
{
	FILE *ip;

	node_enter(node, place);
	ip = popen("ip -batch -", "we");
	if (!ip || fputs(script, ip) < 0 || pclose(ip) != 0)
		rows_fail(-EINVAL, "ip -batch");
}

static void make_network(struct node *node)
{
	static const struct setting forward = {"ipv4/ip_forward", "1"};
	_cleanup_(freep) char *script = NULL;
	char *places[NODE_PLACE_N];

	for (enum node_place i = 0; i < NODE_PLACE_N; i++) {
		if (unshare(CLONE_NEWNET) != 0)
			rows_fail(-errno, "network namespaces");
		node->ns[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		places[i] = xasprintf("/proc/%d/fd/%d", (int)getpid(), node->ns[i]);
		set(client_settings, N_ELEMENTS(client_settings));
	}
	script = xasprintf(host_script, places[NODE_CLIENT], places[NODE_SERVER]);
	node_configure(node, NODE_HOST, script);
	set(&forward, 1);
	node_configure(node, NODE_CLIENT, client_script);
	node_configure(node, NODE_SERVER, server_script);
	for (enum node_place i = 0; i < NODE_PLACE_N; i++)
		free(places[i]);
}

static int serve(int type, const struct sockaddr_in *at)
{
	const struct timeval limit = {.tv_sec = RECEIVE_SEC};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) != 0 ||
	    (type == SOCK_STREAM && listen(fd, 1024) != 0))
		rows_fail(-errno, "a server");
	return fd;
}

void node_serve(struct node *node, const struct sockaddr_in *at)
{
	if (node->servers.n == NODE_SERVERS_MAX)
		rows_fail(-E2BIG, "too many servers");
	node_enter(node, NODE_SERVER);
	node->servers.fd[node->servers.n++] = serve(SOCK_DGRAM, at);
}

static void apply(struct sink *sink, const struct services *services)
{
	struct changeset all = services_all(services);
	int err = sink_apply(sink, &all);

	if (err != 0)
		rows_fail(err, "%s: apply", sink->ops->name);
}

static struct ebpf_params params_of(const struct node *node)
{
	return (struct ebpf_params){.cgroup_root = node->cgroup,
				    .bpffs_root = node->bpffs};
}

void node_init(struct node *node, const char *name, bool is_loaded,
	       const struct services *services)
{
	const struct sockaddr_in any = {.sin_family = AF_INET,
					.sin_port = htons(WORKLOAD_TARGET_PORT)};
	_cleanup_(freep) char *why = NULL;
	struct ebpf_params params;
	int err;

	*node = (struct node){.name = name, .cgroup = home_cgroup(name)};
	node->bpffs = xasprintf("%s/%s", home_bpffs(), name);
	if (mkdir(node->bpffs, 0700) != 0 && errno != EEXIST)
		rows_fail(-errno, "%s", node->bpffs);
	make_network(node);
	node->listener = serve(SOCK_STREAM, &any); /* still in the server pod */
	node_enter(node, NODE_HOST);
	params = params_of(node);
	err = ebpf_sink_new(&params, &node->ebpf, &why);
	if (err != 0)
		rows_fail(err, "%s", why);
	apply(node->ebpf, services);
	if (!is_loaded)
		return;
	err = nft_sink_new(&node->nft);
	if (err != 0)
		rows_fail(err, "nf_tables");
	apply(node->nft, services);
	set(conntrack_settings, N_ELEMENTS(conntrack_settings));
}

void node_fini(struct node *node)
{
	struct ebpf_params params = params_of(node);
	unsigned n;

	sink_close(node->ebpf);
	(void)ebpf_cleanup(&params, &n);
	sink_close(node->nft);
	(void)close(node->listener);
	for (unsigned i = 0; i < node->servers.n; i++)
		(void)close(node->servers.fd[i]);
	for (enum node_place i = 0; i < NODE_PLACE_N; i++)
		(void)close(node->ns[i]);
	free(node->cgroup);
	free(node->bpffs);
}
