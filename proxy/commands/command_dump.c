/*
 * `sluice dump`: the rules that these objects come to, as text.
 */
#include <string.h>

#include "core/cleanup.h"
#include "proxy/commands/commands.h"
#include "proxy/engine/full_changes.h"
#include "proxy/config/options.h"
#include "proxy/commands/snapshot.h"
#include "rules/iptables/iptables_dump.h"
#include "rules/nft/nft.h"
#include "watchers/cluster.h"
#include "watchers/plan/plan_print.h"

static void dump_nft(const struct snapshot *s, const struct changeset *full,
		     struct buf *out)
{
	(void)s;
	nft_dump(full, out);
}

static void dump_iptables(const struct snapshot *s, const struct changeset *full,
			  struct buf *out)
{
	(void)s;
	iptables_dump(full, out);
}

/* The plan, but with node ports at the addresses where they answer. */
static void dump_json(const struct snapshot *s, const struct changeset *full,
		      struct buf *out)
{
	const struct plan_print_input input = snapshot_print_input(s);

	(void)full;
	(void)plan_print(&input, "json", out);
}

static const struct {
	const char *name;
	void (*dump)(const struct snapshot *s, const struct changeset *full,
		     struct buf *out);
} formats[] = {
	{"nft", dump_nft},
	{"iptables", dump_iptables},
	{"json", dump_json},
};

static int find_format(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(formats); i++)
		if (strcmp(name, formats[i].name) == 0)
			return (int)i;
	return -1;
}

static int print(const struct snapshot *s, int format)
{
	struct full_changes all;
	struct buf text = BUF_INIT;
	int status;

	full_changes_init(&all, s->state, &s->node_info.env);
	formats[format].dump(s, &all.cs, &text);
	status = command_print(&text);
	buf_fini(&text);
	full_changes_fini(&all);
	return status;
}

int command_dump(struct options *options, const struct parts *parts)
{
	int format = find_format(*options->format ? options->format : "nft");
	int status = command_prepare(options);

	if (status != STATUS_OK)
		return status;
	if (format < 0) {
		command_error("--format: \"%s\" is not nft, iptables or json",
			      options->format);
		return STATUS_USAGE;
	}
	return snapshot_show(&options->config, parts, false, print, format);
}
