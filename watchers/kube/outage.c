/*
 * All kinds are read over one connection, so they fail within milliseconds of
 * each other: a line is delayed for a moment to name them all.
 */
#include "watchers/kube/outage.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

#define GATHER_SEC   0.5
#define REPEAT_SEC   60.0
#define WHY_MAX_LEN  400
#define UNAUTHORIZED 401
#define FORBIDDEN    403
#define NOT_FOUND    404

struct trouble {
	bool is_present, is_logged;
	bool is_optional; /* logged once per cause, unless required kinds share it */
	bool is_waived;	  /* has been logged as optional */
	const char *name;
	int cause;
	char why[WHY_MAX_LEN];
};

struct outage {
	struct ev_loop *loop;
	const char *server, *config;
	struct ev_timer timer;
	struct trouble kinds[OBJECT_KIND_N];
	uint64_t since_us; /* of the first trouble that is present */
	bool has_logged;
};

static const struct {
	int cause;
	const char *before, *after; /* the configuration's name comes between */
} remedies[] = {
	{UNAUTHORIZED, "check the credentials in ", ""},
	{FORBIDDEN, "give the account of ",
	 " the ClusterRole of deploy/kube-proxy-replacement.yaml"},
	{NOT_FOUND, "check that the server in ", " is a Kubernetes API server"},
	{-ECONNREFUSED, "check that the API server runs where the server in ", " says"},
	{-EHOSTUNREACH, "check DNS and the name of the server in ", ""},
	{-ETIMEDOUT, "check the network up to the server in ", ""},
	{-EKEYEXPIRED,
	 "renew its certificate, or set this host's clock, or change the server in ", ""},
	{-EKEYREJECTED, "check client-certificate and client-key in ", ""},
	{-ENOKEY, "check certificate-authority in ", ""},
	{-EPROTONOSUPPORT, "check that the server in ", " accepts TLS connections"},
	{-EPROTO, "check server, certificate-authority and tls-server-name in ", ""},
};

static void add_remedy(struct buf *out, int cause, const char *config)
{
	for (size_t i = 0; i < N_ELEMENTS(remedies); i++)
		if (remedies[i].cause == cause)
			buf_printf(out, "; %s%s%s", remedies[i].before, config,
				   remedies[i].after);
}

static bool has_cause(const struct trouble *t, int cause)
{
	return t->is_present && t->cause == cause;
}

/*
 * A server that refuses one request may close the connection under the others.
 * Their failure says nothing: the next attempt has the server's answer.
 */
static bool is_side_effect(const struct outage *o, const struct trouble *t)
{
	if (t->cause != -ECONNRESET)
		return false;
	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		if (o->kinds[kind].is_present && o->kinds[kind].cause > 0)
			return true;
	return false;
}

static bool is_required(const struct outage *o, int cause)
{
	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		if (has_cause(&o->kinds[kind], cause) && !o->kinds[kind].is_optional)
			return true;
	return false;
}

/* "services, endpointslices and nodes": those with this cause. */
static void add_names(struct buf *out, struct outage *o, int cause)
{
	size_t n = 0, at = 0;

	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		n += has_cause(&o->kinds[kind], cause);
	for (int kind = 0; kind < OBJECT_KIND_N; kind++) {
		struct trouble *t = &o->kinds[kind];

		if (!has_cause(t, cause))
			continue;
		t->is_logged = true;
		t->is_waived = !is_required(o, cause);
		buf_printf(out, "%s%s",
			   at == 0	 ? ""
			   : at == n - 1 ? " and "
					 : ", ",
			   t->name);
		at++;
	}
}

static double silence_sec(const struct outage *o)
{
	return (double)(clock_monotonic_us() - o->since_us) / 1e6;
}

/* The features that these kinds are for. */
static void add_losses(struct buf *out, const struct outage *o, int cause)
{
	static const char *const losses[OBJECT_KIND_N] = {
		[OBJECT_SERVICE_CIDR] =
			"packets to unused Service addresses are not refused",
		[OBJECT_POD] = "Pods cannot opt out of socket load balancing",
		[OBJECT_NAMESPACE] = "Namespaces cannot opt out of socket load balancing",
	};
	const char *separator = "";

	for (int kind = 0; kind < OBJECT_KIND_N; kind++) {
		if (!losses[kind] || !has_cause(&o->kinds[kind], cause))
			continue;
		buf_printf(out, "%s%s", separator, losses[kind]);
		separator = ", ";
	}
}

static void log_cause(struct outage *o, int cause, const char *why)
{
	_cleanup_(buf_fini) struct buf line = BUF_INIT;
	double for_sec = silence_sec(o);

	buf_add_string(&line, "cannot list ");
	add_names(&line, o, cause);
	if (!is_required(o, cause)) {
		buf_printf(&line, ": %s; going without: ", why);
		add_losses(&line, o, cause);
		log_warn("api: %s: %s", o->server, buf_string(&line));
		return;
	}
	buf_printf(&line, ": %s", why);
	if (for_sec >= REPEAT_SEC / 2)
		buf_printf(&line, "; unreachable for %.0f s", for_sec);
	add_remedy(&line, cause, o->config);
	log_warn("api: %s: %s; retrying, the last known state stays in effect", o->server,
		 buf_string(&line));
	o->has_logged = true;
}

/* Optional kinds alone are not an outage: they may be missing permanently. */
static bool is_out(const struct outage *o)
{
	return outage_why(o) != NULL;
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	struct outage *o = timer->data;

	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		o->kinds[kind].is_logged = false;
	for (int kind = 0; kind < OBJECT_KIND_N; kind++) {
		struct trouble *t = &o->kinds[kind];

		if (t->is_present && !t->is_logged && !is_side_effect(o, t) &&
		    (!t->is_waived || is_required(o, t->cause)))
			log_cause(o, t->cause, t->why);
	}
	ev_timer_stop(loop, timer);
	if (!is_out(o))
		return;
	ev_timer_set(timer, REPEAT_SEC, 0.);
	ev_timer_start(loop, timer);
}

struct outage *outage_new(struct ev_loop *loop, const char *server, const char *config)
{
	struct outage *o = xcalloc(1, sizeof(*o));

	o->loop = loop;
	o->server = server;
	o->config = config;
	ev_timer_init(&o->timer, on_timer, 0., 0.);
	o->timer.data = o;
	return o;
}

void outage_free(struct outage *o)
{
	if (!o)
		return;
	ev_timer_stop(o->loop, &o->timer);
	free(o);
}

const char *outage_why(const struct outage *o)
{
	for (int kind = 0; kind < OBJECT_KIND_N; kind++)
		if (o->kinds[kind].is_present && !o->kinds[kind].is_optional)
			return o->kinds[kind].why;
	return NULL;
}

void outage_failed(struct outage *o, enum object_kind kind, const char *name, int cause,
		   const char *why)
{
	struct trouble *t = &o->kinds[kind];
	bool is_new = !t->is_present || t->cause != cause;
	bool joins = t->is_present && is_side_effect(o, t) && is_required(o, cause);

	if (!is_out(o))
		o->since_us = clock_monotonic_us();
	t->is_present = true;
	t->is_waived &= !is_new;
	t->name = name;
	t->cause = cause;
	(void)snprintf(t->why, sizeof(t->why), "%s", why);
	if (!is_new || joins ||
	    (ev_is_active(&o->timer) &&
	     ev_timer_remaining(o->loop, &o->timer) <= GATHER_SEC))
		return;
	ev_timer_stop(o->loop, &o->timer);
	ev_timer_set(&o->timer, GATHER_SEC, 0.);
	ev_timer_start(o->loop, &o->timer);
}

void outage_set_optional(struct outage *o, enum object_kind kind)
{
	o->kinds[kind].is_optional = true;
}

void outage_over(struct outage *o, enum object_kind kind)
{
	struct trouble *t = &o->kinds[kind];

	if (!t->is_present)
		return;
	*t = (struct trouble){.is_optional = t->is_optional};
	if (is_out(o))
		return;
	if (o->has_logged)
		log_info("api: %s: reachable again after %.1f s", o->server,
			 silence_sec(o));
	o->has_logged = false;
}
