/*
 * The service manager while the daemon runs: a status line that follows, and the
 * watchdog. Without a manager it does nothing.
 */
#pragma once

#include <ev.h>

struct manager { /* embedded, zeroed */
	struct ev_loop *loop;
	/* Returns the present line, to be freed. */
	char *(*line)(void *data);
	void *data;
	ev_timer status, watchdog;
	char *sent;
};

/* loop, line and data are set before. */
void manager_start(struct manager *m);
/* After the first good run. */
void manager_ready(struct manager *m);
/* After each run: the line is sent soon; otherwise it follows within seconds. */
void manager_update(struct manager *m);
/* Also if it was not started. */
void manager_stop(struct manager *m);
