/*
 * `sluice diff`: the state of the kernel against the wanted one, as the daemon sees it.
 */
#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/control_client.h"
#include "proxy/commands/diff_manifests.h"
#include "proxy/control/control.h"
#include "proxy/config/options.h"

int command_diff(struct options *options, const struct parts *parts)
{
	const struct control_request request = {.verb = CONTROL_DIFF};
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	const char *lines;
	json_auto_t *result = NULL;
	int status = command_check_manifests(options);

	if (status != STATUS_OK)
		return status;
	if (options->config.manifests.n)
		return diff_manifests(options, parts);
	if (control_ask(options->config.control_socket, &request, &result) != 0)
		return STATUS_FAILED;
	lines = json_string_value(json_object_get(result, "lines"));
	if (json_integer_value(json_object_get(result, "differences")) != 0) {
		buf_add_string(&text, lines ? lines : "");
		(void)command_print(&text);
		status = STATUS_FAILED;
	}
	return status;
}
