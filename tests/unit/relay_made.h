/* A Service of the userspace plane that nothing serves: for tests of its parts. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct relay_service;

/*
 * One frontend, whose address all endpoints have, each with a port of its own.
 * n_endpoints: at most RELAY_MADE_MAX.
 */
#define RELAY_MADE_MAX 256
struct relay_service *relay_made_service(uint16_t n_endpoints, uint16_t first_port);
