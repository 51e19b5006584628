#include "proxy/http/sink_metrics.h"

#include <string.h>

#include "core/cleanup.h"
#include "proxy/engine/sink_set.h"
#include "proxy/http/exposition.h"

struct writing {
	const struct metrics_input *in;
	struct buf *out;
	const char *name; /* of the family whose samples are being written */
};

static void write_stat(void *data, const struct sink_stat *stat)
{
	static const char *const types[] = {
		[SINK_COUNTER] = "counter",
		[SINK_GAUGE] = "gauge",
		[SINK_HISTOGRAM] = "histogram",
	};
	struct writing *w = data;
	const struct label label = {"ip_family", family_name(stat->family)};

	if (!w->name || strcmp(w->name, stat->name) != 0)
		exposition_family(w->out, stat->name, types[stat->kind], stat->help);
	w->name = stat->name;
	if (stat->is_of_family && !w->in->family_used[stat->family])
		return;
	if (stat->kind == SINK_HISTOGRAM)
		exposition_histogram(w->out, stat->name, &label, stat->is_of_family,
				     stat->bounds, stat->histogram);
	else
		exposition_sample(w->out, stat->name, &label, stat->is_of_family,
				  stat->value);
}

static const struct {
	const char *name, *type, *help;
} families[] = {
	{"sluice_sink_stale", "gauge", "1 if the sink lacks changes, which are retried."},
	{"sluice_sink_failures_total", "counter",
	 "Change sets that the sink failed to apply."},
	{"sluice_refused_services", "gauge", "Services that the sink has left out."},
	{"sluice_refused_services_total", "counter", "Services that the sink refused."},
};

static double value_of(const struct sink_state *s, size_t family)
{
	const double values[N_ELEMENTS(families)] = {
		s->is_stale || s->err, /* also during a retry */
		(double)s->n_failures,
		(double)refused_n(&s->refused),
		(double)s->n_refused,
	};

	return values[family];
}

void sink_metrics_write(const struct metrics_input *in, struct buf *out)
{
	const struct dataplane *dp = in->sinks->dataplane;
	struct writing w = {.in = in, .out = out};

	for (size_t i = 0; i < N_ELEMENTS(families); i++) {
		exposition_family(out, families[i].name, families[i].type,
				  families[i].help);
		for (size_t s = 0; s < dp->n_sinks; s++) {
			const struct label label = {"sink", dp->sinks[s]->ops->name};

			exposition_sample(out, families[i].name, &label, 1,
					  value_of(&in->sinks->states[s], i));
		}
	}
	for (size_t s = 0; s < dp->n_sinks; s++) {
		const struct sink_view *view = dp->sinks[s]->ops->view;

		if (view && view->stats)
			view->stats(dp->sinks[s], write_stat, &w);
	}
}
