/*
 * Merging is collect, sort, keep the last of equals, so its cost is that of the
 * sort.
 */
#include "watchers/plan/endpoints.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void merged_fini(struct merged_list *list)
{
	free(list->items);
	*list = (struct merged_list){0};
}

static bool is_local(const struct object_endpoint *e, const struct slices *slices)
{
	return *e->node && !strcmp(e->node, slices->node_name);
}

static void add_slice_port(struct merged_list *list, const struct slices *slices,
			   const struct object_slice *slice,
			   const struct object_slice_port *port)
{
	for (uint32_t i = 0; i < slice->n_endpoints; i++) {
		const struct object_endpoint *e = &slice->endpoints[i];

		list->items =
			xgrow(list->items, list->n, &list->cap, sizeof(*list->items));
		list->items[list->n] = (struct merged){
			.addr = e->addr,
			.port = port->port,
			.flags = e->flags,
			.is_local = is_local(e, slices),
			.order = (uint32_t)list->n,
			.endpoint = e,
			.hints = object_slice_hints(slice, i),
			.slice_port = port,
		};
		list->n++;
	}
}

/* Compares the identity: the endpoint and its slice port. */
static int compare_identity(const struct merged *a, const struct merged *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	if (order)
		return order;
	if (a->port != b->port)
		return (int)a->port - (int)b->port;
	if (a->slice_port == b->slice_port)
		return 0;
	if (a->slice_port->proto != b->slice_port->proto)
		return (int)a->slice_port->proto - (int)b->slice_port->proto;
	return strcmp(a->slice_port->name, b->slice_port->name);
}

static bool is_terminating(const struct merged *m)
{
	return m->flags & OBJECT_ENDPOINT_TERMINATING;
}

/* The winner is last. */
static int compare_merged(const void *va, const void *vb)
{
	const struct merged *a = va, *b = vb;
	int order = compare_identity(a, b);

	if (order)
		return order;
	if (is_terminating(a) != is_terminating(b))
		return is_terminating(a) ? -1 : 1;
	if (a->is_local != b->is_local)
		return a->is_local ? 1 : -1;
	order = a->order < b->order ? -1 : 1;
	return is_terminating(a) ? -order : order;
}

static void keep_last_of_equals(struct merged_list *list)
{
	size_t n = 0;

	if (list->n < 2)
		return;
	qsort(list->items, list->n, sizeof(*list->items), compare_merged);
	for (size_t i = 1; i < list->n; i++) {
		if (compare_identity(&list->items[n], &list->items[i]) != 0)
			n++;
		list->items[n] = list->items[i];
	}
	list->n = n + 1;
}

void merged_collect(struct merged_list *list, const struct slices *slices,
		    enum family family, const char *port_name, uint8_t proto)
{
	list->n = 0;
	for (size_t i = 0; i < slices->n; i++) {
		const struct object_slice *slice = slices->items[i];

		for (uint32_t j = 0; slice->family == family && j < slice->n_ports; j++) {
			const struct object_slice_port *port = &slice->ports[j];

			if (port->proto == proto && !strcmp(port->name, port_name))
				add_slice_port(list, slices, slice, port);
		}
	}
	keep_last_of_equals(list);
}

static const char *why_down(const struct merged *m, const struct object_service *s,
			    const struct plan_health *health)
{
	if (!merged_is_ready(m) || m->slice_port->proto != IPPROTO_TCP)
		return NULL;
	return health->why_down(health->data, s, &m->addr, m->port);
}

void merged_apply_health(struct merged_list *list, const struct object_service *s,
			 const struct plan_health *health)
{
	size_t n_up = 0;

	if (!health || !object_service_options(s)->service.health_check)
		return;
	for (size_t i = 0; i < list->n; i++) {
		struct merged *m = &list->items[i];

		m->down = why_down(m, s, health);
		n_up += merged_is_ready(m) && !m->down;
	}
	for (size_t i = 0; n_up > 0 && i < list->n; i++)
		if (list->items[i].down)
			list->items[i].flags &= (uint8_t) ~(OBJECT_ENDPOINT_READY |
							    OBJECT_ENDPOINT_SERVING);
}

static bool has_local(const struct slices *slices, enum family family)
{
	for (size_t i = 0; i < slices->n; i++) {
		const struct object_slice *slice = slices->items[i];

		for (uint32_t j = 0; slice->family == family && j < slice->n_endpoints;
		     j++)
			if (is_local(&slice->endpoints[j], slices))
				return true;
	}
	return false;
}

uint32_t merged_local_ready(struct merged_list *list, const struct object_service *s,
			    const struct slices *slices, enum family family,
			    const struct plan_health *health)
{
	const struct addr *last = NULL;
	uint32_t n = 0;

	if (!has_local(slices, family))
		return 0; /* most Services on most nodes */
	list->n = 0;
	for (size_t i = 0; i < slices->n; i++) {
		const struct object_slice *slice = slices->items[i];

		for (uint32_t j = 0; slice->family == family && j < slice->n_ports; j++)
			add_slice_port(list, slices, slice, &slice->ports[j]);
	}
	keep_last_of_equals(list);
	merged_apply_health(list, s, health);
	for (size_t i = 0; i < list->n; i++) {
		const struct merged *m = &list->items[i];

		if (!m->is_local || !merged_is_ready(m) ||
		    (last && addr_equal(last, &m->addr)))
			continue;
		last = &m->addr;
		n++;
	}
	return n;
}
