#include "proxy/engine/left_out_log.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/hash_keys.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/plan/left_out.h"

#define MAX_NAMES   5		      /* in the line */
#define BURST	    5		      /* lines that come together, */
#define INTERVAL_US (60 * 1000000ull) /* and then one in this time */

/* Of one Service. */
struct entry {
	struct name_key key; /* first; owned */
	struct buf text;     /* of at most MAX_NAMES */
	size_t n, n_mistakes;
};

static void entry_free(struct entry *e)
{
	free((char *)(uintptr_t)e->key.ns);
	free((char *)(uintptr_t)e->key.name);
	buf_fini(&e->text);
	free(e);
}

static void add(void *data, const struct left_out *left)
{
	struct entry *e = data;

	if (e->n++ < MAX_NAMES)
		buf_printf(&e->text, "%s%s %s/%s: %s", e->n > 1 ? "; " : "", left->kind,
			   left->ns, left->name, left->reason);
	e->n_mistakes += left->is_mistake;
}

static void remove_entry(struct left_out_log *log, const struct name_key *key)
{
	struct entry *e = hash_del(&log->entries, key);

	if (e)
		entry_free(e);
}

static void put_entry(struct left_out_log *log, const struct entry *new)
{
	struct entry *e = xcalloc(1, sizeof(*e));

	*e = *new;
	e->key.ns = xstrdup(new->key.ns);
	e->key.name = xstrdup(new->key.name);
	(void)hash_put(&log->entries, e);
}

void left_out_log_planned(void *data, const char *ns, const char *name)
{
	struct left_out_log *log = data;
	struct entry new = {.key = {.ns = ns, .name = name}};
	const struct entry *old = hash_find(&log->entries, &new.key);

	left_out_of(log->cluster, ns, name, add, &new);
	if ((old ? old->n : 0) == new.n &&
	    (!old || strcmp(buf_string(&old->text), buf_string(&new.text)) == 0)) {
		buf_fini(&new.text);
		return;
	}
	log->is_changed = true;
	remove_entry(log, &new.key);
	if (new.n > 0)
		put_entry(log, &new);
}

static int compare(const void *va, const void *vb)
{
	const struct name_key *a = *(const struct name_key *const *)va;
	const struct name_key *b = *(const struct name_key *const *)vb;
	int order = strcmp(a->ns, b->ns);

	return order ? order : strcmp(a->name, b->name);
}

static void write_line(const struct left_out_log *log)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(freep) struct entry **entries =
		xcalloc(log->entries.n, sizeof(*entries));
	size_t n = 0, n_left = 0, n_named = 0, n_mistakes = 0;
	struct entry *e;

	for (size_t i = 0; (e = hash_next(&log->entries, &i));)
		entries[n++] = e;
	qsort(entries, n, sizeof(struct entry *), compare);
	for (size_t i = 0; i < n; i++) {
		n_left += entries[i]->n;
		n_mistakes += entries[i]->n_mistakes;
		if (n_named >= MAX_NAMES)
			continue;
		n_named += entries[i]->n < MAX_NAMES ? entries[i]->n : MAX_NAMES;
		buf_printf(&text, "%s%s", i > 0 ? "; " : "",
			   buf_string(&entries[i]->text));
	}
	if (n_left > n_named)
		buf_printf(&text, "; and %zu more, see sluice plan", n_left - n_named);
	if (n_mistakes > 0)
		log_warn("not served: %s", buf_string(&text));
	else
		log_info("not served: %s", buf_string(&text));
}

void left_out_log_write(struct left_out_log *log)
{
	bool is_due = log->is_changed && log->entries.n > 0;

	log->is_changed = false;
	if (is_due && log_limiter_take(&log->limiter, 1, clock_monotonic_us()))
		write_line(log);
}

void left_out_log_init(struct left_out_log *log, const struct cluster *cluster)
{
	*log = (struct left_out_log){
		.cluster = cluster,
		.limiter = {.burst = BURST, .interval_us = INTERVAL_US},
	};
	hash_init(&log->entries, &name_key_ops);
}

void left_out_log_fini(struct left_out_log *log)
{
	struct entry *e;

	for (size_t i = 0; (e = hash_next(&log->entries, &i));)
		entry_free(e);
	hash_fini(&log->entries);
}
