#include "watchers/decode/scratch.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define CHUNK_LEN 65536

struct scratch_chunk {
	struct scratch_chunk *next;
	_Alignas(16) char bytes[];
};

void scratch_init(struct scratch *s)
{
	s->chunks = NULL;
	s->at = s->first;
	s->end = s->first + sizeof(s->first);
}

void scratch_fini(struct scratch *s)
{
	while (s->chunks) {
		struct scratch_chunk *next = s->chunks->next;

		free(s->chunks);
		s->chunks = next;
	}
}

static void add_chunk(struct scratch *s, size_t len)
{
	struct scratch_chunk *chunk = xmalloc(sizeof(*chunk) + len);

	chunk->next = s->chunks;
	s->chunks = chunk;
	s->at = chunk->bytes;
	s->end = chunk->bytes + len;
}

void *scratch_take(struct scratch *s, size_t n, size_t len)
{
	size_t wanted = (n * len + 15) & ~(size_t)15;
	char *bytes;

	if (wanted > (size_t)(s->end - s->at))
		add_chunk(s, wanted > CHUNK_LEN ? wanted : CHUNK_LEN);
	bytes = s->at;
	s->at += wanted;
	return memset(bytes, 0, wanted);
}
