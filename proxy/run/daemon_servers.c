#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/config/config.h"
#include "proxy/config/config_json.h"
#include "proxy/control/control.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/rejections.h"
#include "proxy/engine/sync.h"
#include "proxy/http/health_ports.h"
#include "proxy/http/servers.h"
#include "proxy/run/daemon_private.h"
#include "proxy/run/node_events.h"

static char *unready(const void *data)
{
	return engine_unready(data);
}

static json_t *config_of(const void *data)
{
	const struct engine *e = data;

	return json_pack("{s:o, s:b}", "config", config_to_json(e->config),
			 "fromManifests", e->config->manifests.n > 0);
}

int daemon_start_control(struct daemon *d)
{
	const char *path = d->engine.config->control_socket;
	int err;

	if (!*path)
		return 0;
	d->inspect = (struct inspect){
		.cluster = d->engine.cluster,
		.node_info = &d->engine.node_info,
		.state = sync_state(d->engine.sync),
		.dataplane = &d->engine.dataplane,
		.counts = d->engine.counts,
		.last_census = d->engine.last_census,
		.list_chains = d->parts->list_chains,
		.status = &d->status,
		.journal = d->journal,
		.unready = unready,
		.config = config_of,
		.data = &d->engine,
	};
	err = control_new(d->engine.loop, path, inspect_answer, &d->inspect, &d->control);
	if (err == -EADDRINUSE) {
		log_err("control socket %s: another sluice runs with it", path);
		return err;
	}
	if (err != 0)
		log_warn("control socket %s: %s; get, explain, status, events, top and "
			 "diff do not work",
			 path, strerror(-err));
	return 0;
}

static void on_server_failed(void *data, const char *server, const char *address, int err)
{
	const struct daemon *d = data;
	const struct node_events events = {d->engine.source, d->engine.node_name};

	node_events_server_failed(&events, server, address, err);
}

static void on_health_port_failed(void *data, const char *ns, const char *name,
				  uint16_t port, int err)
{
	const struct daemon *d = data;
	const struct node_events events = {d->engine.source, d->engine.node_name};

	node_events_health_port_failed(&events, ns, name, port, err);
}

static size_t count_rejected(void *data)
{
	const struct daemon *d = data;

	return rejections_n(d->engine.rejections);
}

static bool is_in_sync(void *data)
{
	struct daemon *d = data;

	status_update(&d->status);
	return d->status.is_in_sync;
}

static bool has_read(void *data)
{
	const struct daemon *d = data;

	return d->engine.is_synced;
}

static json_t *status_of(void *data)
{
	struct daemon *d = data;

	return status_json(&d->status);
}

bool daemon_is_healthy(void *data)
{
	const struct daemon *d = data;

	return servers_is_healthy(d->servers);
}

static void log_unused_gates(const struct config *config)
{
	_cleanup_(freep) char *gates = config_unused_gates(config);

	if (*gates)
		log_info("configuration: feature gates without effect here: %s", gates);
}

void daemon_make_servers(struct daemon *d)
{
	const struct health_ports_hooks hooks = {
		.is_healthy = daemon_is_healthy,
		.failed = on_health_port_failed,
		.data = d,
	};
	struct sink *health_ports;

	log_unused_gates(d->engine.config);
	d->servers = servers_new(&(struct servers_params){
		.loop = d->engine.loop,
		.config = d->engine.config,
		.cluster = d->engine.cluster,
		.node_info = &d->engine.node_info,
		.dataplane = &d->engine.dataplane,
		.counts = d->engine.counts,
		.last_census = d->engine.last_census,
		.source = d->engine.source,
		.sync = d->engine.sync,
		.checker = d->engine.checker,
		.n_rejected = count_rejected,
		.status = status_of,
		.journal = d->journal,
		.is_in_sync = is_in_sync,
		.has_read = has_read,
		.failed = on_server_failed,
		.data = d,
	});
	health_ports = health_ports_new(d->engine.loop, &hooks);
	/* an endpoint is counted once traffic can reach it */
	health_ports->after = dataplane_last_vital(&d->engine.dataplane);
	dataplane_add(&d->engine.dataplane, health_ports);
}
