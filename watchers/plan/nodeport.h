/*
 * On which addresses this node answers node ports.
 */
#pragma once

#include "watchers/plan/plan.h"

/*
 * The primary address of this node: that of the options, else the Node's
 * first address of the family; false when neither knows, or it is loopback.
 */
bool nodeport_primary(const struct plan_options *options, const struct object_node *node,
		      enum family family, struct addr *ret);
