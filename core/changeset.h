/*
 * What a sink is told.  Either a delta (old -> new for each service that
 * changed), or full: "these are all; whatever else you find of ours goes".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/environment.h"
#include "core/service.h"

struct change {
	const struct service *old; /* NULL: new; always NULL when full */
	const struct service *new; /* NULL: gone */
};

struct changeset {
	bool full;
	const struct environment *env;
	const struct change *changes;
	size_t n;
};
