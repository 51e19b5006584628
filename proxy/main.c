/*
 * The wiring: sources, data planes, dump formats, commands.  No other file names
 * all parts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/commands/commands.h"
#include "proxy/config/options.h"
#include "proxy/engine/parts.h"
#include "proxy/host/privileges.h"
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

static int probe_nftables(char **ret_why_not)
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

static int open_nftables(const struct config *config, struct ev_loop *loop,
			 struct dataplane *ret)
{
	struct sink *nftables, *conntrack;
	int err = nft_sink_new(&nftables);

	(void)config;
	(void)loop;
	if (err) {
		log_err("nftables: could not open: %s", strerror(-err));
		return err;
	}
	nftables->is_vital = true;
	*ret = (struct dataplane){.mode = "nftables"};
	dataplane_add(ret, nftables);
	err = stale_flows_new(&conntrack);
	if (err) {
		log_warn(
			"conntrack unavailable: %s; flows to removed endpoints will only "
			"end by timeout",
			strerror(-err));
		return 0;
	}
	conntrack->after = nftables;
	dataplane_add(ret, conntrack);
	return 0;
}

static const struct plane planes[] = {
	{.mode = "nftables",
	 .probe = probe_nftables,
	 .open = open_nftables,
	 .cleanups = {nft_cleanup}},
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

	for (size_t i = 0; i < N_ELEMENTS(planes); i++)
		modes[i] = planes[i].mode;
	options_init(&options);
	options.config.modes = modes;
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
