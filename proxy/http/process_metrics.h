/*
 * process_*: memory, CPU, descriptors and start time of this process, from /proc.
 */
#pragma once

#include "core/buf.h"

/* Values that can't be read are left out. */
void process_metrics_write(struct buf *out);
