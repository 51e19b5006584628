/*
 * Metrics of the sinks: their state, and the samples that each one reports.
 */
#pragma once

#include "core/buf.h"
#include "proxy/http/metrics.h"

void sink_metrics_write(const struct metrics_input *in, struct buf *out);
