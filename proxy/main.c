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
	struct sink *nftables, *flows;
	int err = nft_sink_new(&nftables);

	if (err != 0) {
		log_err("nftables: cannot be used: %s", strerror(-err));
		return err;
	}
	nftables->is_vital = true;
	*ret = (struct dataplane){.mode = "nftables"};
	dataplane_add(ret, nftables);
	err = stale_flows_new(&flows);
	if (err != 0) {
		log_warn(
			"conntrack unavailable: %s; flows to removed endpoints will only "
			"end by timeout",
			strerror(-err));
		return 0;
	}
	flows->after = nftables;
	dataplane_add(ret, flows);
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
