/*
 * The engine with everything around it: signals and changes of the configuration
 * file, which end the daemon or make it read its input again, and the hand-over from
 * an earlier daemon.
 */
#include "proxy/run/daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "core/log.h"
#include "proxy/config/config.h"
#include "proxy/config/config_load.h"
#include "proxy/config/options.h"
#include "proxy/control/control.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/source.h"
#include "proxy/host/host_setup.h"
#include "proxy/host/listen_fds.h"
#include "proxy/host/notify.h"
#include "proxy/host/path_watch.h"
#include "proxy/host/privileges.h"
#include "proxy/http/servers.h"
#include "proxy/run/daemon_private.h"

#define SUCCESSION_SEC 0.02

void daemon_stop(struct daemon *d, int err)
{
	d->err = err;
	ev_break(d->engine.loop, EVBREAK_ALL);
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
	const struct daemon *d = w->data;

	log_info("%s: stopping; %s", strsignal(w->signum),
		 d->engine.plane->needs_daemon ? "connections end" : "the rules stay");
	(void)notify_send("STOPPING=1"); /* a service manager is optional */
	ev_break(loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct daemon *d = w->data;

	log_info("%s: reading everything again", d->engine.source->ops->name);
	if (d->engine.source->ops->reread)
		d->engine.source->ops->reread(d->engine.source);
}

static void start_signals(struct daemon *d)
{
	(void)signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&d->term, on_stop, SIGTERM);
	ev_signal_init(&d->interrupt, on_stop, SIGINT);
	ev_signal_init(&d->hangup, on_hangup, SIGHUP);
	d->term.data = d->interrupt.data = d->hangup.data = d;
	ev_signal_start(d->engine.loop, &d->term);
	ev_signal_start(d->engine.loop, &d->interrupt);
	ev_signal_start(d->engine.loop, &d->hangup);
}

static void stop_signals(struct daemon *d)
{
	ev_signal_stop(d->engine.loop, &d->term);
	ev_signal_stop(d->engine.loop, &d->interrupt);
	ev_signal_stop(d->engine.loop, &d->hangup);
}

static char *manager_line(void *data)
{
	struct daemon *d = data;

	return status_line(&d->status);
}

/* The lock, the control socket and the ports are those of the daemon that hands over. */
static void on_succession(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct daemon *d = timer->data;
	int err;

	if (!engine_take_lock(&d->engine))
		return;
	ev_timer_stop(loop, timer);
	err = daemon_start_control(d);
	if (err == 0)
		err = servers_start(d->servers);
	if (err != 0)
		daemon_stop(d, err);
}

static int start_services(struct daemon *d)
{
	int err;

	if (d->engine.dataplane.is_taking_over) {
		daemon_make_servers(d);
		ev_timer_start(d->engine.loop, &d->succession);
		return 0;
	}
	err = daemon_start_control(d);
	if (err != 0)
		return err;
	daemon_make_servers(d);
	return servers_start(d->servers);
}

static void on_config_changed(void *data)
{
	struct daemon *d = data;

	if (config_reload(d->options))
		daemon_stop(d, -ESTALE); /* so that the supervisor starts us again */
}

/* Without a watch the daemon works, too. */
static void watch_config(struct daemon *d)
{
	const char *path = d->options->config_file;
	int err;

	if (!*path)
		return;
	err = path_watch_new(d->engine.loop, path, on_config_changed, d,
			     &d->config_watch);
	if (err != 0)
		log_warn("%s: cannot watch it for changes: %s", path, strerror(-err));
}

static int run(struct daemon *d)
{
	struct privileges privileges = {
		.keep_exec = d->engine.source->runs_programs,
		.caps = d->engine.plane->caps,
		.n_caps = d->engine.plane->n_caps,
		.syscalls = d->engine.plane->syscalls,
		.n_syscalls = d->engine.plane->n_syscalls,
	};
	int err;

	privileges_drop(&privileges);
	start_signals(d);
	watch_config(d);
	d->manager.loop = d->engine.loop;
	d->manager.line = manager_line;
	d->manager.data = d;
	manager_start(&d->manager);
	err = engine_start(&d->engine);
	if (err == 0) {
		/* not before: a start that fails leaves the kernel as it was */
		host_setup_conntrack(d->engine.config);
		counts_timer_start(&d->engine.counts_timer, d->engine.loop);
		ev_run(d->engine.loop, 0);
		err = d->err;
	}
	manager_stop(&d->manager);
	stop_signals(d);
	return err;
}

int daemon_run(struct options *options, const struct parts *parts)
{
	struct daemon d = {.options = options, .parts = parts};
	const struct engine_hooks hooks = daemon_hooks(&d);
	int err;

	host_setup_oom_score(&options->config);
	host_setup_descriptors();
	d.status = (struct status){
		.engine = &d.engine,
		.list_chains = parts->list_chains,
		.is_healthy = daemon_is_healthy,
		.data = &d,
	};
	ev_timer_init(&d.succession, on_succession, SUCCESSION_SEC, SUCCESSION_SEC);
	d.succession.data = &d;
	d.engine.saved.is_wanted = true;
	err = engine_open(&d.engine, &options->config, parts, &hooks);
	if (err == 0) {
		listen_fds_discard();
		daemon_add_journal(&d);
		err = start_services(&d);
	}
	if (err == 0)
		err = run(&d);
	path_watch_free(d.config_watch);
	if (d.engine.loop)
		ev_timer_stop(d.engine.loop, &d.succession);
	control_free(d.control);
	servers_free(d.servers);
	engine_close(&d.engine);
	conflict_log_fini(&d.conflicts);
	return err;
}
