/*
 * The subject of `explain`: "10.96.0.1:80", "[fd00::1]:53/UDP"; or, in wider terms,
 * what people have at hand: a Service, a node port, an address alone.
 */
#pragma once

#include <stdint.h>

#include "core/addr.h"

#define TARGET_FORMS                                                                     \
	"ADDRESS:PORT[/PROTO], ADDRESS, NAMESPACE/NAME[:PORT], "                         \
	"NAME.NAMESPACE.svc[:PORT] "                                                     \
	"or :NODEPORT[/PROTO]"

struct target {
	struct addr addr;
	uint16_t port;
	uint8_t proto; /* IPPROTO_TCP unless said */
};

int target_parse(const char *text, struct target *ret);

enum target_kind { TARGET_SERVICE, TARGET_NODE_PORT, TARGET_ADDRESS };

struct wide_target {
	enum target_kind kind;
	char ns[254], name[254];
	char port_name[64]; /* of a Service: its name or number, "": each */
	struct addr addr;
	uint16_t port; /* the node port */
	uint8_t proto; /* 0: each */
};

/* Every form of TARGET_FORMS but the first. */
int target_parse_wide(const char *text, struct wide_target *ret);
