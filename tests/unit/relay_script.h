/*
 * One connection of the userspace plane whose kernel is a script: each byte decides
 * about the next event, or about the result of the next system call.  It checks that
 * no byte is lost, doubled or reordered, that an end is passed on after the last byte
 * only, and that each descriptor is closed once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Aborts when something does not hold. */
void relay_script_run(const uint8_t *script, size_t len);
