#include "bpf/ebpf_ids.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void ebpf_ids_fini(struct ebpf_ids *ids)
{
	free(ids->free);
	free(ids->limbo);
	*ids = (struct ebpf_ids){0};
}

void ebpf_ids_init(struct ebpf_ids *ids, uint32_t cap, const uint8_t *used, uint32_t n)
{
	*ids = (struct ebpf_ids){.cap = cap};
	for (uint32_t i = 0; i < n; i++)
		if (used[i])
			ids->next = i + 1;
	for (uint32_t i = ids->next; i-- > 0;)
		if (!used[i])
			ebpf_ids_give_back(ids, i);
}

size_t ebpf_ids_available(const struct ebpf_ids *ids)
{
	return ids->n_free + (ids->cap - ids->next);
}

uint32_t ebpf_ids_take(struct ebpf_ids *ids)
{
	if (ids->n_free)
		return ids->free[--ids->n_free];
	return ids->next < ids->cap ? ids->next++ : EBPF_ID_NONE;
}

void ebpf_ids_give_back(struct ebpf_ids *ids, uint32_t id)
{
	assert(id < ids->next);
	ids->limbo =
		xgrow(ids->limbo, ids->n_limbo, &ids->limbo_cap, sizeof(*ids->limbo));
	ids->limbo[ids->n_limbo++] = id;
}

void ebpf_ids_settle(struct ebpf_ids *ids)
{
	for (size_t i = 0; i < ids->n_limbo; i++) {
		ids->free =
			xgrow(ids->free, ids->n_free, &ids->free_cap, sizeof(*ids->free));
		ids->free[ids->n_free++] = ids->limbo[i];
	}
	ids->n_limbo = 0;
}
