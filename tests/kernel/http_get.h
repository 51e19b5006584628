/*
 * Asks the daemon's HTTP servers, on the node itself.
 */
#pragma once

#include <stdint.h>

#include "core/buf.h"
#include "tests/kernel/world.h"

/* The status of GET path at 127.0.0.1:port, 0 without an answer; what follows the header to body, which may be NULL. */
int http_get(const struct world *w, uint16_t port, const char *path, struct buf *body);
