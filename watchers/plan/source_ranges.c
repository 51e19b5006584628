/*
 * A cloud agent may have put the load balancer's address on this node's loopback.
 * A connection from this node then has that address as its source.  So if the
 * node itself is allowed, these addresses are allowed, too.
 */
#include "watchers/plan/source_ranges.h"

#include <stdlib.h>

#include "core/mem.h"

void cidr_list_fini(struct cidr_list *list)
{
	free(list->items);
	*list = (struct cidr_list){0};
}

static void add(struct cidr_list *list, struct cidr cidr)
{
	list->items = xgrow(list->items, list->n, &list->cap, sizeof(*list->items));
	list->items[list->n++] = cidr;
}

static bool contains(const struct cidr_list *list, const struct addr *addr)
{
	for (size_t i = 0; i < list->n; i++)
		if (cidr_contains(&list->items[i], addr))
			return true;
	return false;
}

static void add_load_balancer(struct cidr_list *list, const struct object_service *s,
			      enum family family)
{
	uint8_t host_len = family == FAMILY_IPV4 ? 32 : 128;

	for (uint32_t i = 0; i < s->n_ingress; i++)
		if (!s->ingress[i].is_proxy_mode &&
		    addr_family(&s->ingress[i].addr) == family)
			add(list, (struct cidr){s->ingress[i].addr, host_len});
}

void source_ranges_fill(struct cidr_list *list, const struct object_service *s,
			enum family family, const struct addr *node_ip)
{
	list->n = 0;
	for (uint32_t i = 0; i < s->n_source_ranges; i++) {
		if (cidr_family(&s->source_ranges[i]) != family)
			continue;
		if (s->source_ranges[i].prefix_len == 0) {
			list->n = 0;
			return;
		}
		add(list, s->source_ranges[i]);
	}
	if (node_ip && contains(list, node_ip))
		add_load_balancer(list, s, family);
}
