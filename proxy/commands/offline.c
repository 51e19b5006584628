#include "proxy/commands/offline.h"

#include <errno.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/config/options.h"

static char *always_ready(const void *data)
{
	(void)data; /* the snapshot is complete */
	return NULL;
}

int offline_open(struct offline *o, struct options *options, const struct parts *parts)
{
	int status = command_prepare(options);

	*o = (struct offline){.no_sinks = {.mode = "none"}};
	if (status != STATUS_OK)
		return status;
	if (snapshot_take(&o->snapshot, &options->config, parts, false) != 0 ||
	    o->snapshot.source_err != 0)
		return STATUS_FAILED;
	o->inspect = (struct inspect){
		.cluster = o->snapshot.cluster,
		.node_info = &o->snapshot.node_info,
		.state = o->snapshot.state,
		.dataplane = &o->no_sinks,
		.is_offline = true,
		.unready = always_ready,
	};
	return STATUS_OK;
}

void offline_close(struct offline *o)
{
	snapshot_fini(&o->snapshot);
}

int offline_ask(struct offline *o, const struct control_request *request,
		json_t **ret_result)
{
	_cleanup_(freep) char *error = NULL;
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct control_answer *answer = inspect_answer(&o->inspect, request, &error);

	if (!answer) {
		command_error("%s", error);
		return -EINVAL;
	}
	while (answer->ops->write(answer, &text))
		continue;
	answer->ops->free(answer);
	*ret_result = json_loadb(buf_string(&text), text.len, JSON_DECODE_ANY, NULL);
	return *ret_result ? 0 : -EPROTO;
}
