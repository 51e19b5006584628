#include "bpf/ebpf_diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "bpf/ebpf_found.h"
#include "bpf/ebpf_table_private.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define SERVICES_A_STEP 200

struct ebpf_diff {
	struct sink_diff diff;
	struct ebpf_kernel *kernel;
	const struct ebpf_table *table;
	uint64_t n_applied; /* change sets when it started */
	const struct changeset *full;
	struct ebpf_found found;
	size_t at; /* of the services */
	struct buf lines;
	size_t n_lines;
	bool has_read;
};

static void add_line(struct ebpf_diff *d, char sign, const char *what,
		     const struct ebpf_frontend_key *key, const char *more)
{
	char text[ADDR_PORT_TEXT_LEN];
	struct addr addr;

	memcpy(&addr, key->addr, sizeof(addr));
	d->n_lines++;
	if (key->kind == EBPF_KEY_NODE_ADDRESS) {
		buf_printf(&d->lines, "%c ebpf node address %s%s\n", sign,
			   addr_format(&addr, text), more);
		return;
	}
	buf_printf(&d->lines, "%c ebpf %s %s %s%s\n", sign, what, proto_name(key->proto),
		   addr_port_format(&addr, ntohs(key->port), text), more);
}

/* The endpoints of a pool, as a program would find them: a count of those that are right. */
static bool has_pool(const struct ebpf_diff *d, const struct service *s, uint32_t id,
		     enum ebpf_pool pool)
{
	struct ebpf_arrays a = ebpf_kernel_arrays(d->kernel);
	struct ebpf_sizes sizes = ebpf_kernel_sizes(d->kernel);
	uint64_t word = a.services[id].pool[pool];
	uint32_t first = (uint32_t)word, n = (uint32_t)(word >> 32), k = 0;
	const struct endpoint *endpoints = service_endpoints(s);

	if (n != s->n_pool[pool] || first > sizes.slots || n > sizes.slots - first)
		return false;
	for (uint32_t i = 0; i < s->n_endpoints; i++) {
		uint32_t at;

		if (!(endpoints[i].flags & 1u << pool))
			continue;
		at = a.slots[first + k++].endpoint;
		if (at >= sizes.endpoints || a.endpoints[at].service != id ||
		    !ebpf_is_endpoint(&a.endpoints[at], &endpoints[i]) ||
		    a.endpoints[at].flags != ebpf_flags_of(&endpoints[i]))
			return false;
	}
	return true;
}

static void compare_node(struct ebpf_diff *d, const struct addr *a)
{
	struct ebpf_frontend_key key = ebpf_key_of_node(a);
	struct ebpf_frontend value = ebpf_value_of_node(a);
	size_t at = ebpf_found_find(&d->found, &key);

	if (at == EBPF_FOUND_NONE ||
	    memcmp(&d->found.values[at], &value, sizeof(value)) != 0)
		add_line(d, '-', "", &key, "");
	if (at != EBPF_FOUND_NONE)
		d->found.flags[at] |= EBPF_FOUND_WANTED;
}

static void compare_nodes(struct ebpf_diff *d)
{
	const struct environment *env = d->full->env;

	for (enum family family = 0; family < FAMILY_N; family++)
		for (size_t i = 0; i < env->n_node_addresses[family]; i++)
			compare_node(d, &env->node_addresses[family][i]);
}

static void compare_frontend(struct ebpf_diff *d, const struct service *s,
			     const struct frontend *f)
{
	struct ebpf_arrays a = ebpf_kernel_arrays(d->kernel);
	struct ebpf_frontend_key key = ebpf_key_of(s, f);
	size_t at = ebpf_found_find(&d->found, &key);
	uint32_t id;

	if (at == EBPF_FOUND_NONE) {
		add_line(d, '-', "frontend", &key, "");
		return;
	}
	d->found.flags[at] |= EBPF_FOUND_WANTED;
	id = d->found.values[at].service;
	if (id >= ebpf_kernel_sizes(d->kernel).services ||
	    d->found.values[at].row != ebpf_row_of(s, f))
		add_line(d, '-', "frontend", &key, ": leads to a wrong service");
	else if (a.services[id].rows != ebpf_rows_of(s, d->full->env) ||
		 a.services[id].affinity_sec != s->affinity_sec)
		add_line(d, '-', "decisions", &key, "");
	else if (!has_pool(d, s, id, EBPF_POOL_CLUSTER) ||
		 !has_pool(d, s, id, EBPF_POOL_LOCAL))
		add_line(d, '-', "endpoints", &key, "");
}

/* Those that lead to a service which balances, in order. */
static void add_unwanted(struct ebpf_diff *d)
{
	_cleanup_(freep) struct ebpf_frontend_key *keys =
		xcalloc(d->found.n + 1, sizeof(*keys));
	size_t n = 0;

	for (size_t i = 0; i < d->found.n; i++)
		if (d->found.flags[i] == 0)
			keys[n++] = d->found.keys[i];
	qsort(keys, n, sizeof(*keys), ebpf_key_compare);
	for (size_t i = 0; i < n; i++)
		add_line(d, '+', "frontend", &keys[i], "");
}

static void add_missing(struct ebpf_diff *d, const char *line)
{
	buf_add_string(&d->lines, line);
	d->n_lines++;
}

static void finish(struct ebpf_diff *d)
{
	compare_nodes(d);
	add_unwanted(d);
	if (!ebpf_kernel_is_attached(d->kernel))
		add_missing(d, "- ebpf programs: not all are attached\n");
	if (!ebpf_kernel_is_pinned(d->kernel))
		add_missing(d, "- ebpf pins: some were removed\n");
}

static int step(struct sink_diff *diff)
{
	struct ebpf_diff *d = container_of(diff, struct ebpf_diff, diff);
	size_t end = d->at + SERVICES_A_STEP;
	bool has_changed = ebpf_table_stats(d->table).n_applied != d->n_applied;
	int err = has_changed	? -EINTR
		  : d->has_read ? 0
				: ebpf_found_read(&d->found, d->kernel);

	if (err != 0)
		return err;
	d->has_read = true;
	for (; d->at < end && d->at < d->full->n; d->at++) {
		const struct service *s = d->full->changes[d->at].new;
		const struct frontend *frontends = service_frontends(s);

		for (uint32_t i = 0; ebpf_is_served(s) && i < s->n_frontends; i++)
			compare_frontend(d, s, &frontends[i]);
	}
	if (d->at < d->full->n)
		return 1;
	finish(d);
	return 0;
}

static const char *lines(const struct sink_diff *diff, size_t *ret_n)
{
	const struct ebpf_diff *d = container_of(diff, struct ebpf_diff, diff);

	*ret_n = d->n_lines;
	return buf_string(&d->lines);
}

static void diff_free(struct sink_diff *diff)
{
	struct ebpf_diff *d = container_of(diff, struct ebpf_diff, diff);

	buf_fini(&d->lines);
	ebpf_found_fini(&d->found);
	free(d);
}

static const struct sink_diff_ops diff_ops = {
	.step = step,
	.lines = lines,
	.free = diff_free,
};

struct sink_diff *ebpf_diff_new(struct ebpf_kernel *kernel,
				const struct ebpf_table *table,
				const struct changeset *full)
{
	struct ebpf_diff *d = xcalloc(1, sizeof(*d));

	d->diff.ops = &diff_ops;
	d->kernel = kernel;
	d->table = table;
	d->n_applied = ebpf_table_stats(table).n_applied;
	d->full = full;
	return &d->diff;
}
