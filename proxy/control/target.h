/*
 * The subject of `explain`: "10.96.0.1:80", "[fd00::1]:53/UDP".
 */
#pragma once

#include <stdint.h>

#include "core/addr.h"

struct target {
	struct addr addr;
	uint16_t port;
	uint8_t proto; /* IPPROTO_TCP unless said */
};

int target_parse(const char *text, struct target *ret);
