/*
 * A plan as text for people.
 */
#pragma once

#include "core/buf.h"
#include "core/service.h"
#include "watchers/plan/plan_print.h"

void plan_text_print(const struct plan_print_input *in, struct buf *out);

struct endpoint_text {
	char text[ADDR_PORT_TEXT_LEN];
};

/* The endpoints of a pool, ordered as strings; the caller frees the array. */
struct endpoint_text *plan_text_pool(const struct service *s, enum pool pool,
				     size_t *ret_n);
