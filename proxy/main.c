/*
 * The wiring: sources, data planes, dump formats, commands.  No other file names
 * all parts.
 */
#include <assert.h>
#include <cap-ng.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "bpf/ebpf.h"
#include "bpf/ebpf_dump.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/commands/commands.h"
#include "proxy/config/options.h"
#include "proxy/engine/parts.h"
#include "proxy/host/listen_fds.h"
#include "proxy/host/notify.h"
#include "proxy/host/privileges.h"
#include "proxy/host/standard_fds.h"
#include "proxy/relay/relay.h"
#include "rules/conntrack/stale_flows.h"
#include "rules/iptables/iptables_dump.h"
#include "rules/nft/nft.h"
#include "rules/nft/nft_host.h"

static int make_source(const struct config *config, const char *node_name,
		       struct cluster *cluster, const struct reject *reject,
		       struct object_source **ret)
{
	if (config->manifests.n == 0)
		return source_kube_new(config, node_name, cluster, reject, ret);
	*ret = source_manifests_new((const char *const *)config->manifests.items,
				    config->manifests.n, cluster, reject);
	return 0;
}

static int probe_nftables(const struct config *config, char **ret_why_not)
{
	const char *why;
	int err = privileges_check(&why);

	if (err) {
		*ret_why_not = xstrdup(why);
		return err;
	}
	err = nft_probe();
	if (err)
		*ret_why_not = xasprintf("nf_tables: %s", strerror(-err));
	return err;
}

static int add_nftables(struct dataplane *dp)
{
	struct sink *nftables, *conntrack;
	int err = nft_sink_new(&nftables);

	if (err) {
		log_err("nftables: could not open: %s", strerror(-err));
		return err;
	}
	nftables->is_vital = true;
	dataplane_add(dp, nftables);
	err = stale_flows_new(&conntrack);
	if (err) {
		log_warn(
			"conntrack unavailable: %s; flows to removed endpoints will only "
			"end by timeout",
			strerror(-err));
		return 0;
	}
	conntrack->after = nftables;
	dataplane_add(dp, conntrack);
	return 0;
}

static int open_nftables(const struct config *config, struct ev_loop *loop,
			 struct dataplane *ret)
{
	*ret = (struct dataplane){.mode = "nftables"};
	return add_nftables(ret);
}

static int clean_nftables(const struct config *config, struct buf *removed)
{
	return nft_cleanup();
}

#ifdef SLUICE_HAS_EBPF
static struct ebpf_params ebpf_params(const struct config *config)
{
	return (struct ebpf_params){
		.cgroup_root =
			*config->ebpf.cgroup_root ? config->ebpf.cgroup_root : NULL,
		.bpffs_root = *config->ebpf.bpffs_root ? config->ebpf.bpffs_root : NULL,
		.excluded = (const char *const *)config->ebpf.exclude_cgroups.items,
		.n_excluded = config->ebpf.exclude_cgroups.n,
		.is_host_only = config->ebpf.host_only,
	};
}

/* nftables serves the packets that the programs leave alone, so both must work. */
static int probe_ebpf(const struct config *config, char **ret_why_not)
{
	const struct ebpf_params params = ebpf_params(config);
	int err = probe_nftables(config, ret_why_not);

	return err ? err : ebpf_probe(&params, ret_why_not);
}

static int open_ebpf(const struct config *config, struct ev_loop *loop,
		     struct dataplane *ret)
{
	const struct ebpf_params params = ebpf_params(config);
	_cleanup_(freep) char *why = NULL;
	struct sink *sink;
	int err = ebpf_sink_new(&params, &sink, &why);

	if (err) {
		log_err("ebpf: could not open: %s", why);
		return err;
	}
	/* if it cannot follow, sockets are sent to endpoints that are gone */
	sink->is_vital = true;
	*ret = (struct dataplane){.mode = "ebpf"};
	dataplane_add(ret, sink);
	err = add_nftables(ret);
	if (err)
		dataplane_close(ret);
	return err;
}

static int clean_ebpf(const struct config *config, struct buf *removed)
{
	const struct ebpf_params params = ebpf_params(config);
	unsigned n_removed;
	int err = ebpf_cleanup(&params, &n_removed);

	if (err == -EXDEV) {
		log_info("ebpf: the maps and links of another network namespace stay");
		return 0;
	}
	if (!err && n_removed)
		buf_printf(removed, ", %u maps and links", n_removed);
	return err;
}

static const unsigned ebpf_caps[] = {CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN};
static const int ebpf_syscalls[] = {SYS_bpf, SYS_membarrier, SYS_setns,
				    SYS_open_by_handle_at};
#endif

static int probe_userspace(const struct config *config, char **ret_why_not)
{
	return 0; /* sockets can be had everywhere */
}

static uint32_t whole_seconds(int64_t ns)
{
	return (uint32_t)((ns + 999999999) / 1000000000);
}

static int open_userspace(const struct config *config, struct ev_loop *loop,
			  struct dataplane *ret)
{
	static const struct relay_store store = {notify_store_fds, notify_remove_fds};
	_cleanup_(freep) char *path =
		*config->control_socket ? xasprintf("%s.handover", config->control_socket)
					: NULL;
	size_t n_inherited;
	_cleanup_(freep) int *inherited = listen_fds_take(&n_inherited);
	struct relay_params params = {
		.n_workers = (unsigned)config->userspace.workers,
		.udp_unanswered_sec = whole_seconds(config->conntrack.udp_ns),
		.udp_answered_sec = whole_seconds(config->conntrack.udp_stream_ns),
		.loop = loop,
		.handover_path = path,
		.take_over = config->userspace.take_over,
		.inherited = inherited,
		.n_inherited = n_inherited,
		.store = notify_has_manager() ? &store : NULL,
	};
	_cleanup_(freep) char *why = NULL;
	struct sink *sink;
	int err;

	for (size_t i = 0; i < config->userspace.listen.n; i++) {
		struct addr addr;
		bool is_addr = addr_parse(config->userspace.listen.items[i], &addr) == 0;

		assert(is_addr); /* it was validated */
		params.local[addr_family(&addr)] = addr;
		params.has_local[addr_family(&addr)] = true;
	}
	err = relay_sink_new(&params, &sink, &why);

	if (err) {
		log_err("userspace: could not open: %s", why);
		return err;
	}
	sink->is_vital = true;
	*ret = (struct dataplane){
		.mode = "userspace",
		.is_taking_over = relay_sink_is_taking_over(sink),
	};
	dataplane_add(ret, sink);
	return 0;
}

static int clean_userspace(const struct config *config, struct buf *removed)
{
	size_t n_removed;
	int err = relay_cleanup(&n_removed);

	if (!err && n_removed)
		buf_printf(removed, ", %zu local routes", n_removed);
	return err;
}

static const struct plane planes[] = {
#ifdef SLUICE_HAS_EBPF
	{.mode = "ebpf",
	 .merit = "sockets of this node and its pods go to endpoints directly, nftables "
		  "serves the rest",
	 .has_loopback = true,
	 .caps = ebpf_caps,
	 .n_caps = N_ELEMENTS(ebpf_caps),
	 .syscalls = ebpf_syscalls,
	 .n_syscalls = N_ELEMENTS(ebpf_syscalls),
	 .probe = probe_ebpf,
	 .open = open_ebpf,
	 .dump = ebpf_dump,
	 .cleanups = {clean_ebpf, clean_nftables}},
#endif
	{.mode = "nftables",
	 .merit = "the kernel balances every new connection",
	 .probe = probe_nftables,
	 .open = open_nftables,
	 .cleanups = {clean_nftables}},
	{.mode = "userspace",
	 .merit = "sockets of this process relay TCP and UDP; endpoints see the "
		  "node's address",
	 .has_loopback = true,
	 .needs_daemon = true,
	 .probe = probe_userspace,
	 .open = open_userspace,
	 .cleanups = {clean_userspace}},
};

/* The modes of this build, for options; NULL at the end. */
static const char *modes[N_ELEMENTS(planes) + 1];

static const struct dump_format formats[] = {
	{"nft", nft_dump},
	{"iptables", iptables_dump},
};

static const struct parts parts = {
	.make_source = make_source,
	.planes = planes,
	.n_planes = N_ELEMENTS(planes),
	.formats = formats,
	.n_formats = N_ELEMENTS(formats),
	.cleanup_kube_proxy = nft_host_remove_kube_proxy,
	.list_chains = nft_host_chains,
};

static int (*const functions[COMMAND_N])(struct options *, const struct parts *) = {
	[COMMAND_RUN] = command_run,
	[COMMAND_PLAN] = command_plan,
	[COMMAND_DUMP] = command_dump,
	[COMMAND_GET] = command_get,
	[COMMAND_EXPLAIN] = command_explain,
	[COMMAND_STATUS] = command_status,
	[COMMAND_TOP] = command_top,
	[COMMAND_EVENTS] = command_events,
	[COMMAND_DIFF] = command_diff,
	[COMMAND_CLEANUP] = command_cleanup,
	[COMMAND_COMPLETION] = command_completion,
	[COMMAND_VERSION] = command_version,
};

static int help(const struct options *options)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	options_help(options, &text);
	return command_print(&text);
}

int main(int argc, char **argv)
{
	_cleanup_(freep) char *error = NULL;
	struct options options;
	int status;

	listen_fds_check();
	standard_fds_open();
	for (size_t i = 0; i < N_ELEMENTS(planes); i++)
		modes[i] = planes[i].mode;
	options_init(&options);
	options.config.modes = modes;
	if (options_parse(&options, argc, argv, &error) != 0) {
		command_error("%s", error);
		status = STATUS_USAGE;
	} else if (options.help) {
		status = help(&options);
	} else if (*options.version && strcmp(options.version, "false") != 0) {
		status = command_version(&options, &parts);
	} else {
		status = functions[options.command](&options, &parts);
	}
	options_fini(&options);
	return status;
}
