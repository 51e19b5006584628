/*
 * Flows of the conntrack table, made through netlink, without packets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MADE_FLOW_OPENING 0x100 /* with the protocol: opened, not answered yet */

struct made_flow {
	uint16_t proto;
	const char *dst, *reply_src;
	bool is_kept;
};

/* From a client, by its port. 0 or -errno. */
int made_flow_create(const struct made_flow *f, uint16_t client_port);
/* Each with a port of its own, 1000 for the first. */
void made_flows_create(const struct made_flow *flows, size_t n);
/* Those of made_flows_create(): the kernel has them, or not, as is_kept says. */
void made_flows_expect(const struct made_flow *flows, size_t n);
/* So many, of many clients; every other one is of the second kind. */
void made_flows_create_many(const struct made_flow flows[2], size_t n);
