#include "core/environment.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	return addr_compare(a, b);
}

bool environment_has_node_address(const struct environment *e, const struct addr *a)
{
	enum family family = addr_family(a);

	return e->n_node_addresses[family] &&
	       bsearch(a, e->node_addresses[family], e->n_node_addresses[family],
		       sizeof(*a), compare);
}
