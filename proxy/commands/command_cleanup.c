/*
 * `sluice cleanup`: removes our tables, and with --kube-proxy those of kube-proxy, and
 * prints the removed and the remaining ones.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/config/config.h"
#include "proxy/config/options.h"
#include "proxy/engine/parts.h"
#include "proxy/engine/planes.h"
#include "proxy/host/netns_lock.h"
#include "proxy/host/privileges.h"

#define OUR_TABLE "sluice"

struct listing {
	char last[32];	 /* family of our table that was added last */
	struct buf ours; /* ", ip sluice, ip6 sluice" */
	size_t n_kube_proxy;
};

static void take_chain(void *data, const struct nf_chain *chain)
{
	struct listing *l = data;

	if (strcmp(chain->table, "kube-proxy") == 0 ||
	    strncmp(chain->name, "KUBE-S", strlen("KUBE-S")) == 0)
		l->n_kube_proxy++;
	if (strcmp(chain->table, OUR_TABLE) != 0 || strcmp(chain->family, l->last) == 0)
		return;
	(void)snprintf(l->last, sizeof(l->last), "%s", chain->family);
	buf_printf(&l->ours, ", %s %s", chain->family, chain->table);
}

/* A daemon would program everything again within milliseconds. */
static int refuse_beside_daemon(void)
{
	pid_t pid;

	if (netns_lock_holder(&pid) != 0)
		return STATUS_OK;
	command_error("cleanup: sluice runs in this network namespace (pid %d) and would "
		      "program it again: stop it first",
		      (int)pid);
	return STATUS_FAILED;
}

static int remove_kube_proxy(const struct parts *parts, struct buf *out)
{
	_cleanup_(buf_fini) struct buf removed = BUF_INIT;
	int err = parts->cleanup_kube_proxy(&removed);

	if (err)
		command_error("cleanup: could not remove all that kube-proxy left: %s",
			      strerror(-err));
	if (removed.len)
		buf_printf(out, "removed of kube-proxy:\n%s", buf_string(&removed));
	else if (!err)
		buf_add_string(out, "nothing of kube-proxy is there\n");
	buf_add_string(out, "not looked at: rules of iptables-legacy, and of ipvs mode "
			    "(kube-ipvs0, ipvsadm --clear)\n");
	return err ? STATUS_FAILED : STATUS_OK;
}

static int clean(const struct options *options, const struct parts *parts,
		 struct buf *out)
{
	struct listing before = {.ours = BUF_INIT};
	int status = STATUS_OK;

	/* without a listing they are removed all the same */
	(void)parts->list_chains(take_chain, &before);
	if (planes_cleanup(parts, &options->config, NULL, &before.ours) != 0)
		status = STATUS_FAILED;
	else if (before.ours.len)
		buf_printf(out, "removed: %s\n", buf_string(&before.ours) + 2);
	else
		buf_add_string(out, "nothing of sluice is there\n");
	if (options->kube_proxy)
		status |= remove_kube_proxy(parts, out);
	else if (before.n_kube_proxy)
		buf_printf(out,
			   "left: %zu chains of kube-proxy; sluice cleanup --kube-proxy "
			   "removes them\n",
			   before.n_kube_proxy);
	buf_fini(&before.ours);
	return status;
}

int command_cleanup(struct options *options, const struct parts *parts)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	const char *why;
	int status;

	config_set_up_log(&options->config);
	if (privileges_check(&why) != 0) {
		command_error("cleanup: %s", why);
		return STATUS_FAILED;
	}
	status = refuse_beside_daemon();
	if (status != STATUS_OK)
		return status;
	status = clean(options, parts, &out);
	status |= command_print(&out);
	return status;
}
