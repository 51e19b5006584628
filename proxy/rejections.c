#include "proxy/rejections.h"

#include <stdlib.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"

/* More than anybody reads; what comes after is only logged and counted. */
#define REJECTIONS_MAX 100000

/* "Service ns/name: ", "Node name: "; of one without a name, "Service in ns: ". */
static void add_object(struct buf *line, const struct rejection *x)
{
	buf_add_string(line, x->kind);
	if (*x->ns)
		buf_printf(line, *x->name ? " %s/" : " in %s", x->ns);
	else if (*x->name)
		buf_add_string(line, " ");
	buf_printf(line, "%s: ", x->name);
}

/* "source: object: field: reason", without the parts that are empty. */
static void log_rejection(const struct rejection *x)
{
	struct buf line = BUF_INIT;

	if (*x->source)
		buf_printf(&line, "%s: ", x->source);
	if (*x->kind)
		add_object(&line, x);
	if (*x->field)
		buf_printf(&line, "%s: ", x->field);
	log_warn("%s%s", buf_string(&line), x->reason);
	buf_fini(&line);
}

static void rejected(void *data, const struct rejection *x)
{
	struct rejections *r = data;

	log_rejection(x);
	r->n_total++;
	if (!r->keep || r->n >= REJECTIONS_MAX)
		return;
	r->items = xgrow(r->items, r->n, &r->cap, sizeof(*r->items));
	r->items[r->n++] = (struct plan_rejected){
		.source = xstrdup(x->source),
		.kind = xstrdup(x->kind),
		.ns = xstrdup(x->ns),
		.name = xstrdup(x->name),
		.field = xstrdup(x->field),
		.reason = xstrdup(x->reason),
	};
}

void rejections_init(struct rejections *r, bool keep)
{
	*r = (struct rejections){.reject = {rejected, r}, .keep = keep};
}

void rejections_fini(struct rejections *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct plan_rejected *x = &r->items[i];

		free((char *)x->source);
		free((char *)x->kind);
		free((char *)x->ns);
		free((char *)x->name);
		free((char *)x->field);
		free((char *)x->reason);
	}
	free(r->items);
	r->items = NULL;
	r->n = r->cap = 0;
}
