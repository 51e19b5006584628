/*
 * The difference of two plans, service by service, as text: "+ " is only in the second
 * one, "- " only in the first one.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

struct plan_diff_pair {
	const json_t *before, *after; /* services of a plan; NULL: there is none */
	bool keeps_endpoints;	      /* those of before; compare everything else only */
};

/* Is there a difference? If so, adds its lines. */
bool plan_diff_service(const struct plan_diff_pair *pair, struct buf *out);
/* The key of a service: "demo/web:http TCP IPv4". The caller frees it. */
char *plan_diff_key(const json_t *service);
