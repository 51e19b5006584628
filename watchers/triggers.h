/*
 * Times at which recent changes were triggered: at most TRIGGERS_MAX, none
 * before since_us.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TRIGGERS_MAX 4096

struct triggers { /* embedded, zeroed */
	int64_t *times_us, since_us;
	size_t n, cap;
};

void triggers_fini(struct triggers *t);
/* Unix time; 0: unknown. */
void triggers_note(struct triggers *t, int64_t time_us);
/* Writes at most max of them, and removes all. */
size_t triggers_take(struct triggers *t, int64_t *ret, size_t max);
