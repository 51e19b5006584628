/*
 * The services that get space in an answer of limited size.
 */
#pragma once

#include <stddef.h>

struct counts;
struct service;
struct state;

/*
 * At most max services, in no order: those with the most connections (counts may be
 * NULL), of equal ones those that come first by name.  The caller frees the array.
 */
const struct service **busy_services(const struct state *state,
				     const struct counts *counts, size_t max,
				     size_t *ret_n);
