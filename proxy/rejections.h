/*
 * Collects what decoders and plan() refuse: logs a line for each, and keeps
 * copies for those who print them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/plan_print.h"
#include "watchers/reject.h"

struct rejections {	      /* embedded */
	struct reject reject; /* what decoders are given */
	bool keep;
	struct plan_rejected *items;
	size_t n, cap;
	size_t n_total; /* also those that were not kept */
};

/* keep: for printing; a daemon only logs and counts. */
void rejections_init(struct rejections *r, bool keep);
void rejections_fini(struct rejections *r);
