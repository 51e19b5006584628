/*
 * The rig of the test that runs: set-up, tear-down, and steps that many tests of
 * connections have.
 */
#pragma once

#include "tests/unit/relay_rig.h"

extern struct relay_rig *rig;

/* For cmocka. TCP, with two workers and four endpoints. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
/* Until the relay has this many connections. */
void rig_await_connections(unsigned n);
void rig_close_both(int client, int server);
