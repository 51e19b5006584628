#include "proxy/relay/relay_surrender.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "proxy/relay/relay_conn.h"
#include "proxy/relay/relay_ear.h"
#include "proxy/relay/relay_transfer.h"
#include "proxy/relay/relay_udp.h"

static void pass_flows(struct relay_worker *w, struct relay_transfer *t)
{
	struct relay_ear *ear;

	LIST_FOREACH(ear, &w->ears, in_worker)
	if (relay_ear_is_udp(ear))
		relay_udp_pass(ear, t);
}

static void pass_waiting(struct relay_worker *w, struct relay_transfer *t)
{
	const struct relay_conn *c;

	LIST_FOREACH(c, &w->holding, in_state)
	relay_transfer_add(t, c->client.io.fd, c->client.io.fd,
			   &(struct relay_transfer_record){.since_ms = c->since_ms});
}

/* The next process has them: they end here without a reset. */
static void end_all(struct relay_worker *w)
{
	struct relay_ear *ear;

	LIST_FOREACH(ear, &w->ears, in_worker)
	if (relay_ear_is_udp(ear))
		relay_udp_close_ear(w->udp, ear);
	while (!LIST_EMPTY(&w->holding))
		relay_conn_close(LIST_FIRST(&w->holding));
}

void relay_surrender(struct relay_worker *w, int fd)
{
	struct relay_transfer t = {.fd = fd};
	struct relay_ear *ear;

	LIST_FOREACH(ear, &w->ears, in_worker)
	relay_ear_stop(ear);
	pass_flows(w, &t);
	pass_waiting(w, &t);
	relay_transfer_flush(&t);
	(void)close(fd);
	end_all(w);
	if (t.err)
		log_warn("userspace: could not pass all UDP flows and waiting clients to "
			 "the next process: %s; the others end",
			 strerror(-t.err));
}

/* ---- in the next process ---- */

static void adopt_waiting(struct relay_worker *w, const struct relay_ear *ear, int fd,
			  uint64_t since_ms)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &len) == -1 ||
	    !relay_limit_take_conn(w->shared->limit)) {
		(void)close(fd);
		return;
	}
	relay_conn_continue(w, fd, (const struct sockaddr *)&peer, ear->service,
			    ear->frontend, since_ms);
}

void relay_surrender_adopt(struct relay_worker *w, struct relay_ear *ear, int fd,
			   const struct relay_transfer_record *record)
{
	if (relay_ear_is_udp(ear))
		relay_udp_adopt(w->udp, ear, fd, record);
	else
		adopt_waiting(w, ear, fd, record->since_ms);
}

void relay_surrender_resume(struct relay_worker *w)
{
	struct relay_ear *ear;

	LIST_FOREACH(ear, &w->ears, in_worker)
	{
		if (!ear->is_waiting)
			continue;
		ear->is_waiting = false;
		relay_ear_start(ear);
	}
}
