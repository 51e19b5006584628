/*
 * When the changes that came in were triggered, until somebody asks: at most
 * TRIGGERS_MAX of them, and none from before since_us.
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
/* Unix time; 0: nobody knows. */
void triggers_note(struct triggers *t, int64_t time_us);
/* Writes at most max of them, and forgets all. */
size_t triggers_take(struct triggers *t, int64_t *ret, size_t max);
