/*
 * Valid objects that nothing is planned for, Service ports without endpoints
 * because of their names, and why.
 */
#pragma once

#include <stdbool.h>

struct cluster;

struct left_out {
	const char *kind, *ns, *name;
	const char *reason;
	bool is_mistake; /* most likely; false: by a rule that users rely on */
};

void left_out_each(const struct cluster *cluster,
		   void (*fn)(void *data, const struct left_out *left), void *data);
