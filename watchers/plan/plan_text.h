/*
 * A plan in lines for people, and the words that every form of it uses.
 */
#pragma once

#include "core/service.h"
#include "watchers/plan/plan_print.h"

const char *plan_kind_name(uint8_t kind);	  /* "ClusterIP", … */
const char *plan_action_name(uint8_t action);	  /* "balance", … */
const char *plan_source_name(enum source source); /* "pod", … */

void plan_text_print(const struct plan_print_input *in, struct buf *out);
