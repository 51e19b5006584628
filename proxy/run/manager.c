#include "proxy/run/manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/host/notify.h"

#define SOON_SEC   1.  /* after a sync */
#define STATUS_SEC 10. /* for what changes without one, such as an outage of the server */
#define US_PER_SEC 1e6

/* Sends before and the line; one that cannot be sent now is sent later. */
static int send_line(struct manager *m, const char *before, int (*send)(const char *text))
{
	_cleanup_(freep) char *line = m->line(m->data);
	_cleanup_(freep) char *text = xasprintf("%sSTATUS=%s", before, line);
	int err = 0;

	if (*before || !m->sent || strcmp(m->sent, line) != 0)
		err = send(text);
	if (!err) {
		free(m->sent);
		m->sent = take_ptr(line);
	}
	return err;
}

static void on_status(struct ev_loop *loop, ev_timer *timer, int revents)
{
	int err = send_line(timer->data, "", notify_try);

	timer->repeat = STATUS_SEC;
	ev_timer_again(loop, timer);
	if (err && err != -EAGAIN)
		log_debug("service manager: status: %s", strerror(-err));
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int revents)
{
	int err = notify_try("WATCHDOG=1");

	if (err && err != -EAGAIN)
		log_debug("service manager: watchdog: %s", strerror(-err));
}

void manager_start(struct manager *m)
{
	double watchdog_sec = (double)notify_watchdog_us() / US_PER_SEC / 3;

	if (!notify_has_manager())
		return;
	ev_timer_init(&m->status, on_status, SOON_SEC, STATUS_SEC);
	ev_timer_init(&m->watchdog, on_watchdog, 0., watchdog_sec);
	m->status.data = m;
	ev_timer_start(m->loop, &m->status);
	if (watchdog_sec > 0)
		ev_timer_start(m->loop, &m->watchdog);
}

void manager_ready(struct manager *m)
{
	int err = send_line(m, "READY=1\n", notify_send);

	if (err)
		log_warn("service manager: cannot notify it: %s", strerror(-err));
}

void manager_update(struct manager *m)
{
	if (!ev_is_active(&m->status) ||
	    ev_timer_remaining(m->loop, &m->status) <= SOON_SEC)
		return;
	m->status.repeat = SOON_SEC;
	ev_timer_again(m->loop, &m->status);
}

void manager_stop(struct manager *m)
{
	if (m->loop) {
		ev_timer_stop(m->loop, &m->status);
		ev_timer_stop(m->loop, &m->watchdog);
	}
	free(take_ptr(m->sent));
}
