/*
 * Collects the rejections of decoders.  They are logged when they are new: a file
 * or object with the same rejections as before costs no line, a repaired one costs
 * one.  The lines of each file or object, and of all together, are limited; the
 * others are counted in one line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/reject.h"

struct ev_loop;
struct rejections;

#define REJECTIONS_THING_LINES 10  /* of one file or object */
#define REJECTIONS_BURST_LINES 100 /* logged together, and then in a second */

/* keep: copies for printing instead of the log. */
struct rejections *rejections_new(bool keep);
void rejections_free(struct rejections *r);

/* Suppressed lines are counted in the log from now on, a second later. */
void rejections_start(struct rejections *r, struct ev_loop *loop);
/* Logs how many lines were suppressed. */
void rejections_flush(struct rejections *r);

/* For the decoders. */
const struct reject *rejections_reject(const struct rejections *r);
/* How many there are now; those of repaired and deleted objects do not count. */
size_t rejections_n(const struct rejections *r);
/* The copies, in the order of the reports. */
const struct rejection *rejections_kept(const struct rejections *r, size_t *ret_n);
