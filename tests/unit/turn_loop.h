/*
 * A loop that is turned for a while, for tests of what happens in time.
 */
#pragma once

#include <ev.h>

/* For so many seconds, or until a callback breaks it. Returns the number of turns. */
unsigned turn_loop(struct ev_loop *loop, double seconds);
