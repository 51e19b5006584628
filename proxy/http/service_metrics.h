/*
 * The metrics of services: their number, those with a policy Local and no local
 * endpoint, and (bounded) connections and endpoints of each.
 */
#pragma once

#include "core/buf.h"
#include "proxy/http/metrics.h"

void service_metrics_write(const struct metrics_input *in, struct buf *out);
