/*
 * One service port as the maps have it: its number, those of its endpoints,
 * its ranges of slots, and how it translates into words.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/ebpf_layout.h"
#include "bpf/ebpf_ranges.h"
#include "core/environment.h"
#include "core/service.h"

struct ebpf_entry {
	struct service *service; /* first; one reference */
	struct ebpf_range pool[EBPF_POOL_N];
	uint32_t id;
	uint32_t endpoint_ids[]; /* in the order of service_endpoints() */
};

/* Without ranges; the numbers of its endpoints are EBPF_ID_NONE. */
struct ebpf_entry *ebpf_entry_new(const struct service *service, uint32_t id);
void ebpf_entry_free(struct ebpf_entry *e);

/* Do the maps have it? The hooks know TCP and UDP; without a frontend nothing leads there. */
static inline bool ebpf_is_served(const struct service *s)
{
	return (s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP) && s->n_frontends > 0;
}

struct ebpf_frontend_key ebpf_key_of(const struct service *s, const struct frontend *f);
/* The element of a node address. */
struct ebpf_frontend_key ebpf_key_of_node(const struct addr *a);
struct ebpf_frontend ebpf_value_of_node(const struct addr *a);
/*
 * The row that a frontend's decisions are in. Frontends of one kind share one;
 * those that do not agree with the first of their kind pass.
 */
uint8_t ebpf_row_of(const struct service *s, const struct frontend *f);
/* All rows as one word. */
uint64_t ebpf_rows_of(const struct service *s, const struct environment *env);
uint16_t ebpf_flags_of(const struct endpoint *e);
/* Fills a record but for its counter. */
void ebpf_fill_endpoint(struct ebpf_endpoint *record, const struct endpoint *e,
			uint32_t service, uint32_t generation, uint32_t options);
/* EBPF_ENDPOINT_*: what happens to the sockets of an endpoint that goes. */
uint32_t ebpf_options_of(const struct service *s);
bool ebpf_is_endpoint(const struct ebpf_endpoint *record, const struct endpoint *e);
