/*
 * The services that a sink refused: it holds nothing of them, and they are
 * tried again by themselves.  Found by service key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/hash.h"
#include "core/service.h"

struct refused { /* embedded */
	struct hash entries;
	unsigned round;
};

void refused_init(struct refused *r);
void refused_fini(struct refused *r);

size_t refused_n(const struct refused *r);
bool refused_has(const struct refused *r, const struct service *service);
/* for (size_t i = 0; (s = refused_next(r, &i));) */
const struct service *refused_next(const struct refused *r, size_t *cursor);

/* A change set is about to be applied. */
void refused_start_round(struct refused *r);
/* The sink refuses it in this round; why may be NULL. True: it did not do so before. */
bool refused_put(struct refused *r, const struct service *service, const char *why);
/* Why it was refused last, "" if that is not known; NULL: it was not. */
const char *refused_why(const struct refused *r, const struct service *service);
/* Part of this round's change set: removes it, unless it was refused again. True: it did. */
bool refused_settle(struct refused *r, const struct service *service);
/* The same for all: the change set was full. */
void refused_settle_all(struct refused *r);
