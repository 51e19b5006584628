/*
 * Collects what decoders refuse.  It is logged when it is new: what was wrong
 * with a file or object before, and still is, isn't told again.  Of each thing
 * and within each round only so many lines are logged; the others are counted
 * in one line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/plan/plan_print.h"
#include "watchers/reject.h"

struct ev_loop;
struct rejections;

/* Lines that are logged of one thing, and of all things in one round. */
#define REJECTIONS_THING_LINES 10
#define REJECTIONS_ROUND_LINES 100

/* keep: copies, for printing; a daemon only logs and counts. */
struct rejections *rejections_new(bool keep);
void rejections_free(struct rejections *r);

/* Rounds end by themselves from now on. Without, all is one round. */
void rejections_start(struct rejections *r, struct ev_loop *loop);
/* The round is over: what was not logged is counted in a line. */
void rejections_flush(struct rejections *r);

/* What decoders are given. */
const struct reject *rejections_reject(const struct rejections *r);
/* How many there are now: what was mended or has gone no longer counts. */
size_t rejections_n(const struct rejections *r);
/* What was kept, in the order of telling. */
const struct plan_rejected *rejections_kept(const struct rejections *r, size_t *ret_n);
