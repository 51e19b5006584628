#include "proxy/engine/left_out_log.h"

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/plan/left_out.h"

#define MAX_NAMES   5		      /* in the line */
#define BURST	    5		      /* lines that come together, */
#define INTERVAL_US (60 * 1000000ull) /* and then one in this time */

struct list {
	struct buf text;
	struct log_digest *digest;
	size_t n, n_mistakes;
};

static void add(void *data, const struct left_out *left)
{
	struct list *list = data;
	_cleanup_(freep) char *line =
		xasprintf("%s %s/%s: %s", left->kind, left->ns, left->name, left->reason);

	log_digest_add(list->digest, line);
	list->n_mistakes += left->is_mistake;
	if (list->n++ < MAX_NAMES)
		buf_printf(&list->text, "%s%s", list->n > 1 ? "; " : "", line);
}

void left_out_log_update(struct left_out_log *log, const struct cluster *cluster)
{
	struct list list = {.digest = &log->digest};

	log->limiter.burst = BURST;
	log->limiter.interval_us = INTERVAL_US;
	left_out_each(cluster, add, &list);
	if (list.n > MAX_NAMES)
		buf_printf(&list.text, "; and %zu more, see sluice plan",
			   list.n - MAX_NAMES);
	if (log_digest_is_new(&log->digest) && list.n > 0 &&
	    log_limiter_take(&log->limiter, 1, clock_monotonic_us())) {
		if (list.n_mistakes > 0)
			log_warn("not served: %s", buf_string(&list.text));
		else
			log_info("not served: %s", buf_string(&list.text));
	}
	buf_fini(&list.text);
}
