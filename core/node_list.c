#include "core/node_list.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static int compare(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static void set(struct node_list *list, const struct addr *items, size_t n)
{
	list->items = xrealloc(list->items, (n + 1) * sizeof(*items));
	if (n > 0)
		memcpy(list->items, items, n * sizeof(*items));
	list->n = n;
}

void node_list_fini(struct node_list *list)
{
	free(list->items);
	*list = (struct node_list){0};
}

void node_list_set(struct node_list *list, const struct environment *env,
		   enum family family)
{
	set(list, env->node_addresses[family], env->n_node_addresses[family]);
}

void node_list_copy(struct node_list *list, const struct node_list *other)
{
	set(list, other->items, other->n);
}

bool node_list_has(const struct node_list *list, const struct addr *addr)
{
	return list->n > 0 && bsearch(addr, list->items, list->n, sizeof(*addr), compare);
}

bool node_list_equal(const struct node_list *a, const struct node_list *b)
{
	return a->n == b->n &&
	       (a->n == 0 || memcmp(a->items, b->items, a->n * sizeof(*a->items)) == 0);
}
