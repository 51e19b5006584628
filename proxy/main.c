/*
 * The wiring: which source, which data plane, which command.  No other file
 * names all parts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/commands/commands.h"
#include "proxy/config/options.h"
#include "proxy/engine/parts.h"
#include "rules/nft/nft.h"
#include "rules/nft/nft_host.h"
#include "rules/conntrack/stale_flows.h"

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

static int make_nftables(struct dataplane *ret)
{
	struct dataplane dp = {
		.mode = "nftables",
		.fd = nft_sink_fd,
		.drain = nft_sink_drain,
		.counts = nft_sink_counts,
		.diff = nft_sink_diff,
		.nft_stats = nft_sink_stats,
	};
	int err = nft_sink_new(&dp.sinks[0]);

	if (err != 0) {
		log_err("nftables: can't be used: %s", strerror(-err));
		return err;
	}
	dp.n_sinks = 1;
	err = stale_flows_new(&dp.sinks[1]);
	if (err == 0) {
		dp.n_sinks = 2;
		dp.flows = dp.sinks[1];
		dp.flow_stats = stale_flows_stats;
	} else {
		log_warn("conntrack: can't be used, flows to endpoints that are gone "
			 "stay until they time out: %s",
			 strerror(-err));
	}
	*ret = dp;
	return 0;
}

static int make_dataplane(const struct config *config, struct dataplane *ret)
{
	const char *mode = config->mode;

	if (strcmp(mode, "ebpf") == 0 || strcmp(mode, "userspace") == 0) {
		log_err("mode %s: this build has no such data plane; nftables is there",
			mode);
		return -EOPNOTSUPP;
	}
	if (strcmp(mode, "nftables") != 0)
		log_info("mode auto: nftables, the only data plane of this build");
	return make_nftables(ret);
}

static int cleanup(void)
{
	int err = nft_cleanup();

	if (err != 0)
		log_err("nftables: could not remove our tables: %s", strerror(-err));
	return err;
}

static const struct parts parts = {
	.make_source = make_source,
	.make_dataplane = make_dataplane,
	.cleanup = cleanup,
	.cleanup_kube_proxy = nft_host_remove_kube_proxy,
	.list_chains = nft_host_chains,
};

static int (*const functions[COMMAND_N])(struct options *, const struct parts *) = {
	[COMMAND_RUN] = command_run,	     [COMMAND_PLAN] = command_plan,
	[COMMAND_DUMP] = command_dump,	     [COMMAND_GET] = command_get,
	[COMMAND_EXPLAIN] = command_explain, [COMMAND_DIFF] = command_diff,
	[COMMAND_CLEANUP] = command_cleanup, [COMMAND_VERSION] = command_version,
};

static int help(enum command command)
{
	struct buf text = BUF_INIT;
	int status;

	options_help(command, &text);
	status = command_print(&text);
	buf_fini(&text);
	return status;
}

int main(int argc, char **argv)
{
	_cleanup_(freep) char *error = NULL;
	struct options options;
	int status;

	options_init(&options);
	if (options_parse(&options, argc, argv, &error) != 0) {
		command_error("%s", error);
		status = STATUS_USAGE;
	} else if (options.help) {
		status = help(options.command);
	} else if (*options.version && strcmp(options.version, "false") != 0) {
		status = command_version(&options, &parts);
	} else {
		status = functions[options.command](&options, &parts);
	}
	options_fini(&options);
	return status;
}
