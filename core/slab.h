/*
 * Many small items of one size, in blocks: malloc() takes up to 16 bytes more for
 * each.  Items that are given back are taken again; the blocks stay until the end.
 */
#pragma once

#include <stddef.h>

struct slab { /* embedded */
	size_t item_len;
	struct slab_item *free;
	struct slab_block *blocks;
	size_t n_left; /* items of the first block that were never taken */
};

void slab_init(struct slab *p, size_t item_len);
/* Frees all items. */
void slab_fini(struct slab *p);
/* Zeroed; aligned for pointers. */
void *slab_take(struct slab *p);
/* NULL is fine. */
void slab_give(struct slab *p, void *item);
