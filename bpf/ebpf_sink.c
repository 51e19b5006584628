#include "bpf/ebpf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bpf/ebpf_notes.h"
#include "bpf/ebpf_sink_private.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

#define CHECK_MS  1000
#define SOON_MS	  100 /* a Pod's first process comes soon after its cgroup */
#define NS_PER_MS 1000000

static void log_closed(struct ebpf_sink *e, const struct ebpf_closed *closed)
{
	e->n_closed += closed->n_sockets;
	if (closed->n_sockets)
		log_debug(
			"ebpf: closed %llu sockets of removed endpoints and addresses in "
			"%u network namespaces",
			(unsigned long long)closed->n_sockets, closed->n_namespaces);
	if (closed->n_unreachable && !e->has_logged_unreachable)
		log_warn("ebpf: cannot enter %u network namespaces: sockets of removed "
			 "endpoints stay open there (CAP_SYS_ADMIN is needed)",
			 closed->n_unreachable);
	e->has_logged_unreachable |= closed->n_unreachable > 0;
}

static void give_up_sockets(struct ebpf_sink *e, int err)
{
	log_warn("ebpf: cannot close sockets of removed endpoints: %s", strerror(-err));
	ebpf_sockets_free(take_ptr(e->sockets));
}

/* Closes the sockets of endpoints and frontends that went; does nothing when none did. */
static void close_sockets(struct ebpf_sink *e)
{
	struct ebpf_table_stats now = ebpf_table_stats(e->table), before = e->closed_at;
	struct ebpf_closed closed;
	int err = 0;

	e->closed_at = now;
	if (!e->sockets)
		return;
	if (now.n_grown != before.n_grown)
		ebpf_sockets_renew(e->sockets);
	if (now.n_gone != before.n_gone || now.n_lost != before.n_lost) {
		err = ebpf_sockets_close_stale(e->sockets, &closed);
		if (err == 0)
			log_closed(e, &closed);
	}
	if (err != 0)
		give_up_sockets(e, err);
}

static int attach(struct ebpf_sink *e)
{
	unsigned n_reattached = 0;
	int err = ebpf_kernel_attach(e->kernel, &n_reattached);

	if (n_reattached)
		log_warn("ebpf: %u programs had been detached by another program; "
			 "attached again",
			 n_reattached);
	e->n_attached_again += n_reattached;
	if (err == 0)
		ebpf_notes_log_others(e);
	return err;
}

static void pin(struct ebpf_sink *e)
{
	int err = ebpf_kernel_is_pinned(e->kernel) ? 0 : ebpf_kernel_pin(e->kernel);

	if (err != 0 && !e->lacks_pins)
		log_warn("ebpf: removed pins cannot be made again: %s; the programs will "
			 "end with this process",
			 strerror(-err));
	e->lacks_pins = err != 0;
}

static int ebpf_apply(struct sink *sink, const struct changeset *cs)
{
	struct ebpf_sink *e = container_of(sink, struct ebpf_sink, sink);
	int err = ebpf_table_apply(e->table, cs);

	if (err == 0 && cs->full)
		err = attach(e);
	if (err != 0)
		return err;
	if (cs->full)
		pin(e);
	if (cs->full && e->optout)
		ebpf_optout_repair(e->optout);
	close_sockets(e);
	e->has_applied = true;
	return 0;
}

static int ebpf_fd(const struct sink *sink)
{
	return container_of(sink, const struct ebpf_sink, sink)->timer;
}

static void set_timer(const struct ebpf_sink *e, unsigned ms)
{
	const struct itimerspec next = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS},
	};

	if (e->timer >= 0)
		(void)timerfd_settime(e->timer, 0, &next, NULL); /* it is valid */
}

/* The kernel does not report that a link was detached: look at all of them. */
static bool ebpf_check(struct sink *sink)
{
	struct ebpf_sink *e = container_of(sink, struct ebpf_sink, sink);
	uint64_t n_ticks;
	bool is_pending;
	int err;

	if (read(e->timer, &n_ticks, sizeof(n_ticks)) != sizeof(n_ticks))
		return false; /* not due */
	/* a processor may have read an epoch before the change that it belongs to */
	ebpf_kernel_next_epoch(e->kernel);
	is_pending = e->optout && ebpf_optout_look(e->optout);
	set_timer(e, is_pending ? SOON_MS : CHECK_MS);
	if (!e->has_applied)
		return false;
	/* after deletions and growth; here they delay no change, and may fail */
	(void)ebpf_kernel_settle(e->kernel);
	err = e->sockets ? ebpf_sockets_load(e->sockets) : 0;
	if (err != 0)
		give_up_sockets(e, err);
	return !ebpf_kernel_is_attached(e->kernel) ||
	       (!e->lacks_pins && !ebpf_kernel_is_pinned(e->kernel));
}

static void ebpf_exclude_pods(struct sink *sink, const char *const *uids, size_t n)
{
	struct ebpf_sink *e = container_of(sink, struct ebpf_sink, sink);

	if (e->optout && ebpf_optout_set_pods(e->optout, uids, n))
		set_timer(e, SOON_MS);
}

static void exclude(struct ebpf_sink *e, const struct ebpf_params *params)
{
	int err = ebpf_optout_new(e->kernel, &e->optout);

	if (err == 0)
		ebpf_optout_set_paths(e->optout, params->excluded, params->n_excluded);
	else
		log_warn("ebpf: cgroups cannot be excluded: %s", strerror(-err));
}

static void ebpf_close(struct sink *sink)
{
	struct ebpf_sink *e = container_of(sink, struct ebpf_sink, sink);

	ebpf_optout_free(e->optout);
	ebpf_sockets_free(e->sockets);
	ebpf_table_free(e->table);
	ebpf_kernel_close(e->kernel);
	if (e->timer >= 0)
		(void)close(e->timer);
	free(e->others);
	free(e);
}

static const struct sink_ops ebpf_ops = {
	.name = "ebpf",
	.apply = ebpf_apply,
	.close = ebpf_close,
	.fd = ebpf_fd,
	.check = ebpf_check,
	.made = "its programs or maps",
	.exclude_pods = ebpf_exclude_pods,
	.view = &ebpf_view,
};

int ebpf_sink_new(const struct ebpf_params *params, struct sink **ret, char **ret_why)
{
	_cleanup_(freep) char *why = NULL;
	struct ebpf_sink *e;
	struct ebpf_kernel *kernel;
	int err = ebpf_kernel_open(params, &kernel, ret_why);

	if (err != 0)
		return err;
	e = xcalloc(1, sizeof(*e));
	e->sink.ops = &ebpf_ops;
	e->kernel = kernel;
	/* without it, only audits notice that programs were detached */
	e->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	set_timer(e, CHECK_MS);
	e->is_host_only = params->is_host_only;
	e->table = ebpf_table_new(kernel);
	if (!ebpf_kernel_can_refuse(kernel))
		log_info(
			"ebpf: this kernel has no bpf_set_retval (5.18): TCP connections "
			"to services without endpoints are refused by nftables");
	if (ebpf_sockets_new(kernel, &e->sockets, &why) != 0)
		log_warn("ebpf: UDP sockets of removed endpoints are not closed: %s",
			 why);
	exclude(e, params);
	*ret = &e->sink;
	return 0;
}

int ebpf_probe(const struct ebpf_params *params, char **ret_why)
{
	return ebpf_kernel_probe(params, ret_why);
}

int ebpf_cleanup(const struct ebpf_params *params, unsigned *ret_removed)
{
	return ebpf_kernel_cleanup(params->bpffs_root, ret_removed);
}
