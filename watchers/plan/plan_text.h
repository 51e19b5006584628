/*
 * A plan in lines for people.
 */
#pragma once

#include "core/service.h"
#include "watchers/plan/plan_print.h"

void plan_text_print(const struct plan_print_input *in, struct buf *out);
