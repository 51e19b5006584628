/*
 * A full change set of all services in the state, without taking changes.
 */
#pragma once

#include "core/changeset.h"
#include "core/state.h"

struct full_changes { /* valid until the state changes; {0} is empty */
	struct changeset cs;
	struct change *changes;
};

void full_changes_init(struct full_changes *all, const struct state *state,
		       const struct environment *env);
void full_changes_fini(struct full_changes *all);
