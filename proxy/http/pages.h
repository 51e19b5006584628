/*
 * The pages /configz, /flagz and /statusz of the metrics server, in
 * kube-proxy's forms.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#include "core/buf.h"

struct config;

void pages_configz(const struct config *config, struct buf *out);
void pages_flagz(const struct config *config, struct buf *out);
void pages_statusz(time_t started_sec, uint64_t up_sec, struct buf *out);
