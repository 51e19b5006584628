/* A copy of the node addresses of one family, in order. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/environment.h"

struct node_list { /* embedded; zeroed is empty */
	struct addr *items;
	size_t n;
};

void node_list_fini(struct node_list *list);
void node_list_set(struct node_list *list, const struct environment *env,
		   enum family family);
void node_list_copy(struct node_list *list, const struct node_list *other);
bool node_list_has(const struct node_list *list, const struct addr *addr);
bool node_list_equal(const struct node_list *a, const struct node_list *b);
