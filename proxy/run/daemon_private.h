/*
 * The daemon's parts; private to the files daemon*.c.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "proxy/control/inspect.h"
#include "proxy/engine/conflict_log.h"
#include "proxy/engine/engine.h"
#include "proxy/engine/status.h"
#include "proxy/run/manager.h"

struct control;
struct options;
struct path_watch;
struct servers;
struct sink;

struct daemon {
	struct engine engine;
	struct options *options;
	const struct parts *parts;
	struct status status;
	struct inspect inspect; /* for the control socket */
	struct sink *journal;	/* the data plane's */
	struct control *control;
	struct conflict_log conflicts;
	struct manager manager;
	struct servers *servers;
	struct path_watch *config_watch;
	ev_signal term, interrupt, hangup;
	ev_timer succession; /* runs while another daemon hands over to this one */
	bool is_announced;   /* the service manager was notified */
	bool is_hinted;	     /* the hints were logged */
	int err;	     /* why the loop ended; 0: by a signal */
};

/* Ends the loop; err is the result of the daemon. */
void daemon_stop(struct daemon *d, int err);

/* daemon_reports.c: where the engine's events go. */
struct engine_hooks daemon_hooks(struct daemon *d);
/* Makes the journal. Its entries are programmed changes: it comes after the data plane. */
void daemon_add_journal(struct daemon *d);

/* daemon_servers.c: what answers questions about the daemon. */
/*
 * The control socket. Traffic does not depend on it: the daemon runs without it, for
 * example with a full disk. -EADDRINUSE, logged: another daemon has it.
 */
int daemon_start_control(struct daemon *d);
/* Health and metrics, and the health check node ports, which report our health, too. */
void daemon_make_servers(struct daemon *d);
bool daemon_is_healthy(void *data);
