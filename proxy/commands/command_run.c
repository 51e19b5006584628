/*
 * `sluice run`: the daemon, and the other tasks that kube-proxy has under that name.
 */
#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/commands/commands.h"
#include "proxy/config/config_file.h"
#include "proxy/run/daemon.h"
#include "proxy/host/host_setup.h"
#include "proxy/run/once.h"
#include "proxy/config/options.h"
#include "proxy/engine/parts.h"

static int write_config(const struct options *options)
{
	_cleanup_(freep) char *error = NULL;

	if (config_file_write(options->write_config_to, &options->config, &error) != 0) {
		command_error("--write-config-to: %s", error);
		return STATUS_FAILED;
	}
	log_info("configuration written to %s", options->write_config_to);
	return STATUS_OK;
}

int command_run(struct options *options, const struct parts *parts)
{
	int status;

	if (options->cleanup)
		return command_cleanup(options, parts);
	status = command_prepare(options);
	if (status != STATUS_OK)
		return status;
	if (*options->write_config_to)
		return write_config(options);
	if (options->init_only) {
		host_setup_conntrack(&options->config);
		return STATUS_OK;
	}
	if (options->once)
		return once_run(&options->config, parts) == 0 ? STATUS_OK : STATUS_FAILED;
	return daemon_run(options, parts) == 0 ? STATUS_OK : STATUS_FAILED;
}
