/*
 * `sluice run`: the daemon, and what else kube-proxy does under that name.
 */
#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/commands.h"
#include "proxy/daemon.h"
#include "proxy/options.h"
#include "proxy/parts.h"

int command_run(struct options *options, const struct parts *parts)
{
	int status;

	if (options->cleanup)
		return command_cleanup(options, parts);
	status = command_prepare(options);
	if (status != STATUS_OK)
		return status;
	if (options->once)
		return daemon_once(&options->config, parts) == 0 ? STATUS_OK
								 : STATUS_FAILED;
	return daemon_run(&options->config, parts) == 0 ? STATUS_OK : STATUS_FAILED;
}
