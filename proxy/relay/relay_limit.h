/*
 * How many descriptors listeners, connections and UDP flows may use, so that neither
 * the daemon's own files nor each other's ever fail for want of them.  Without listeners
 * of UDP all of them are for connections, and the other way round.  With both there is
 * room for as many flows as connections, and flows leave half of the host's ports.
 * Shared by all threads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct relay_limit {	     /* embedded; counters are atomic */
	uint32_t n_max;	     /* descriptors that may be used */
	uint32_t n_max_ears; /* of these by listeners */
	uint32_t n_max_flows;
	uint32_t n_tcp_ears, n_udp_ears, n_conns, n_flows;
};

/* From RLIMIT_NOFILE. */
void relay_limit_init(struct relay_limit *l, unsigned n_workers);
/* False when there is no room; else it is counted. */
bool relay_limit_take_ear(struct relay_limit *l, uint8_t proto);
bool relay_limit_take_conn(struct relay_limit *l);
void relay_limit_give_ear(struct relay_limit *l, uint8_t proto);
void relay_limit_give_conn(struct relay_limit *l);
/*
 * A listener that is open, or a connection. Those of a listener that another thread has
 * given back are counted.
 */
bool relay_limit_is_used(const struct relay_limit *l);
bool relay_limit_take_flow(struct relay_limit *l);
void relay_limit_give_flow(struct relay_limit *l);
/* More flows than their share, since there are listeners of TCP now. */
bool relay_limit_has_excess_flows(const struct relay_limit *l);
/* With the listeners that are open. */
uint32_t relay_limit_max_flows(const struct relay_limit *l);
uint32_t relay_limit_max_conns(const struct relay_limit *l);
