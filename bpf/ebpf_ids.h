/*
 * Numbers of array records: taken, given back, and taken again only after a
 * grace period, because a program may still hold a record that was given back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EBPF_ID_NONE UINT32_MAX

struct ebpf_ids {      /* embedded; zeroed is empty */
	uint32_t cap;  /* ids are below this */
	uint32_t next; /* never used from here on */
	uint32_t *free, *limbo;
	size_t n_free, n_limbo, free_cap, limbo_cap;
};

void ebpf_ids_fini(struct ebpf_ids *ids);
/* Starts with these in use (used[i] != 0 for i < n); the gaps wait for a grace period. */
void ebpf_ids_init(struct ebpf_ids *ids, uint32_t cap, const uint8_t *used, uint32_t n);
/* Free without a grace period. */
size_t ebpf_ids_available(const struct ebpf_ids *ids);
/* EBPF_ID_NONE when none is available. */
uint32_t ebpf_ids_take(struct ebpf_ids *ids);
void ebpf_ids_give_back(struct ebpf_ids *ids, uint32_t id);
/* A grace period has passed since the last id was given back. */
void ebpf_ids_settle(struct ebpf_ids *ids);
