#include "core/slab.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define BLOCK_LEN 16384

struct slab_item { /* one that was given back */
	struct slab_item *next;
};

struct slab_block {
	struct slab_block *next;
	struct slab_item items[];
};

void slab_init(struct slab *p, size_t item_len)
{
	const size_t unit = sizeof(struct slab_item);

	*p = (struct slab){.item_len = (item_len + unit - 1) / unit * unit};
}

void slab_fini(struct slab *p)
{
	while (p->blocks) {
		struct slab_block *next = p->blocks->next;

		free(p->blocks);
		p->blocks = next;
	}
	slab_init(p, p->item_len);
}

static void add_block(struct slab *p)
{
	struct slab_block *block = xmalloc(BLOCK_LEN);

	block->next = p->blocks;
	p->blocks = block;
	p->n_left = (BLOCK_LEN - sizeof(*block)) / p->item_len;
}

void *slab_take(struct slab *p)
{
	void *item = p->free;

	if (item) {
		p->free = p->free->next;
	} else {
		if (p->n_left == 0)
			add_block(p);
		item = (char *)p->blocks->items + --p->n_left * p->item_len;
	}
	return memset(item, 0, p->item_len);
}

void slab_give(struct slab *p, void *item)
{
	struct slab_item *free_item = item;

	if (!item)
		return;
	free_item->next = p->free;
	p->free = free_item;
}
