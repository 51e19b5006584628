/*
 * Logs which valid objects are not served, in one line, when they change.
 */
#pragma once

#include "core/log_limiter.h"

struct cluster;

struct left_out_log { /* embedded, zeroed */
	struct log_digest digest;
	struct log_limiter limiter;
};

void left_out_log_update(struct left_out_log *log, const struct cluster *cluster);
