#include "watchers/triggers.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void triggers_fini(struct triggers *t)
{
	free(t->times_us);
}

void triggers_note(struct triggers *t, int64_t time_us)
{
	if (time_us == 0 || time_us < t->since_us || t->n == TRIGGERS_MAX)
		return;
	t->times_us = xgrow(t->times_us, t->n, &t->cap, sizeof(*t->times_us));
	t->times_us[t->n++] = time_us;
}

size_t triggers_take(struct triggers *t, int64_t *ret, size_t max)
{
	size_t n = t->n < max ? t->n : max;

	if (n > 0)
		memcpy(ret, t->times_us, n * sizeof(*ret));
	t->n = 0;
	return n;
}
