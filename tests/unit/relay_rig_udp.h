/*
 * Datagrams through the userspace plane: endpoints that echo.
 */
#pragma once

#include "tests/unit/relay_rig.h"

/* The endpoint that gets a datagram, within the time; n_listeners: none. */
size_t rig_receiver(const struct relay_rig *rig, int timeout_ms);
/* Receives one at an endpoint, and answers the same. Returns the port that it came from. */
uint16_t rig_echo(const struct relay_rig *rig, size_t endpoint);
/* One question of a connected client, and its answer. Returns the endpoint. */
size_t rig_ask(const struct relay_rig *rig, int client, uint16_t *ret_port);
