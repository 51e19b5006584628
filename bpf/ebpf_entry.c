#include "bpf/ebpf_entry.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ebpf_ids.h"
#include "core/mem.h"

#define ROW_LIMITED  4u /* load balancers with source ranges */
#define ROW_LOOPBACK 5u /* a pod's loopback address is not the node's */
#define ROW_PASS     (EBPF_ROWS - 1)

struct ebpf_entry *ebpf_entry_new(const struct service *service, uint32_t id)
{
	size_t ids_len = service->n_endpoints * sizeof(uint32_t);
	struct ebpf_entry *e = xmalloc(sizeof(*e) + ids_len);

	_Static_assert(EBPF_ID_NONE == UINT32_MAX, "all bytes are equal");
	*e = (struct ebpf_entry){.service = service_ref(service), .id = id};
	memset(e->endpoint_ids, 0xff, ids_len);
	return e;
}

void ebpf_entry_free(struct ebpf_entry *e)
{
	if (!e)
		return;
	service_unref(e->service);
	free(e);
}

struct ebpf_frontend_key ebpf_key_of(const struct service *s, const struct frontend *f)
{
	struct ebpf_frontend_key key = {
		.port = htons(f->port),
		.proto = s->proto,
		.kind = frontend_is_everywhere(f) ? EBPF_KEY_EVERYWHERE : EBPF_KEY_EXACT,
	};

	memcpy(key.addr, &f->addr, sizeof(key.addr));
	return key;
}

struct ebpf_frontend_key ebpf_key_of_node(const struct addr *a)
{
	struct ebpf_frontend_key key = {.kind = EBPF_KEY_NODE_ADDRESS};

	memcpy(key.addr, a, sizeof(key.addr));
	return key;
}

struct ebpf_frontend ebpf_value_of_node(const struct addr *a)
{
	return (struct ebpf_frontend){
		.service = EBPF_NO_SERVICE,
		.row = addr_is_loopback(a) ? ROW_LOOPBACK : FRONTEND_NODE_PORT,
	};
}

static bool same_decisions(const struct frontend *a, const struct frontend *b)
{
	return memcmp(a->from, b->from, sizeof(a->from)) == 0;
}

static uint8_t preferred_row(const struct frontend *f)
{
	if (f->is_limited)
		return ROW_LIMITED;
	return addr_is_loopback(&f->addr) ? ROW_LOOPBACK : f->kind;
}

static bool is_of_row(const struct frontend *f, uint8_t row)
{
	return preferred_row(f) == row ||
	       (row == ROW_LOOPBACK && frontend_is_everywhere(f));
}

/* The frontend whose decisions the row has. */
static const struct frontend *first_of_row(const struct service *s, uint8_t row)
{
	const struct frontend *frontends = service_frontends(s);

	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (is_of_row(&frontends[i], row))
			return &frontends[i];
	return NULL;
}

uint8_t ebpf_row_of(const struct service *s, const struct frontend *f)
{
	uint8_t row = preferred_row(f);

	return same_decisions(first_of_row(s, row), f) ? row : ROW_PASS;
}

static enum ebpf_action action_of(const struct service *s, const struct decision *d)
{
	if (d->action == ACTION_REJECT)
		return EBPF_REFUSE;
	if (d->action != ACTION_BALANCE || s->n_pool[d->pool] == 0)
		return EBPF_PASS;
	return d->pool == POOL_LOCAL ? EBPF_LOCAL : EBPF_CLUSTER;
}

/* 0 for a row that has its decisions already. */
static uint64_t byte_of_row(const struct service *s, const struct frontend *f,
			    uint8_t row, unsigned *seen)
{
	uint64_t node = action_of(s, &f->from[CLIENT_NODE]), pod = EBPF_PASS;

	if (*seen & 1u << row)
		return 0;
	*seen |= 1u << row;
	if (row != ROW_LOOPBACK)
		pod = action_of(s, &f->from[CLIENT_POD]);
	return (node | pod << 4) << (row * 8);
}

/* A row has the decisions of its first frontend, as first_of_row() finds it. */
uint64_t ebpf_rows_of(const struct service *s, const struct environment *env)
{
	const struct frontend *frontends = service_frontends(s);
	unsigned seen = 1u << ROW_LIMITED;
	uint64_t rows = 0;

	if (env->masquerade_all) /* only packets can be masqueraded */
		return 0;
	for (uint32_t i = 0; i < s->n_frontends; i++) {
		const struct frontend *f = &frontends[i];

		rows |= byte_of_row(s, f, preferred_row(f), &seen);
		if (frontend_is_everywhere(f))
			rows |= byte_of_row(s, f, ROW_LOOPBACK, &seen);
	}
	return rows;
}

uint32_t ebpf_options_of(const struct service *s)
{
	return s->options.on_endpoint_removed == ENDPOINT_REMOVAL_RESET
		       ? EBPF_ENDPOINT_RESETS
		       : 0;
}

uint16_t ebpf_flags_of(const struct endpoint *e)
{
	_Static_assert((int)ENDPOINT_CLUSTER == (int)EBPF_ENDPOINT_CLUSTER,
		       "the same bits");
	_Static_assert((int)ENDPOINT_LOCAL == (int)EBPF_ENDPOINT_LOCAL, "the same bits");
	_Static_assert((int)ENDPOINT_SERVING == (int)EBPF_ENDPOINT_SERVING,
		       "the same bits");

	return e->flags & (ENDPOINT_CLUSTER | ENDPOINT_LOCAL | ENDPOINT_SERVING);
}

void ebpf_fill_endpoint(struct ebpf_endpoint *record, const struct endpoint *e,
			uint32_t service, uint32_t generation, uint32_t options)
{
	memcpy(record->addr, &e->addr, sizeof(record->addr));
	record->port = htons(e->port);
	record->service = service;
	record->generation = generation;
	record->options = options;
	__atomic_store_n(&record->flags, ebpf_flags_of(e), __ATOMIC_RELEASE);
}

bool ebpf_is_endpoint(const struct ebpf_endpoint *record, const struct endpoint *e)
{
	return memcmp(record->addr, &e->addr, sizeof(record->addr)) == 0 &&
	       record->port == htons(e->port);
}
