#include "proxy/engine/full_changes.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"

void full_changes_init(struct full_changes *all, const struct state *state,
		       const struct environment *env)
{
	size_t n;
	_cleanup_(freep) const struct service **services = state_sorted(state, &n);

	*all = (struct full_changes){
		.changes = xcalloc(n + 1, sizeof(*all->changes)),
	};
	for (size_t i = 0; i < n; i++)
		all->changes[i].new = services[i];
	all->cs = (struct changeset){
		.full = true,
		.env = env,
		.changes = all->changes,
		.n = n,
	};
}

void full_changes_fini(struct full_changes *all)
{
	free(all->changes);
	*all = (struct full_changes){0};
}
