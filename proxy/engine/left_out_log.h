/*
 * Logs which valid objects are not served, in one line, when they change.  It remembers
 * them by their Service, so the cost of a change does not grow with the cluster.
 */
#pragma once

#include <stdbool.h>

#include "core/hash.h"
#include "core/log_limiter.h"

struct cluster;

struct left_out_log { /* embedded */
	const struct cluster *cluster;
	struct hash entries; /* one for each Service with such objects */
	bool is_changed;     /* since the last line */
	struct log_limiter limiter;
};

void left_out_log_init(struct left_out_log *log, const struct cluster *cluster);
void left_out_log_fini(struct left_out_log *log);
/* The Service, its ports or its slices may have changed. For struct plan_options. */
void left_out_log_planned(void *data, const char *ns, const char *name);
/* Writes the line if it is due. */
void left_out_log_write(struct left_out_log *log);
