/*
 * Any bytes as a manifest, read whole and read in pieces: the same objects, and
 * an error has one line.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash.h"
#include "watchers/decode/document.h"
#include "watchers/files/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void look(void *data, const struct document *doc)
{
	(void)data;
	assert(doc->number > 0 && doc->json);
	for (size_t i = 0; i < doc->n_duplicates && i < DOCUMENT_MAX_DUPLICATES; i++)
		assert(doc->duplicates[i].line > 0);
}

/* The objects, in their order, as one number. */
static void take(void *data, struct object *takes)
{
	uint64_t *sum = data;

	*sum = *sum * 31 + hash_string(takes->name) + takes->kind;
	object_unref(takes);
}

static int read_in_pieces(const char *bytes, size_t len, size_t piece, uint64_t *ret_sum)
{
	_cleanup_(freep) char *error = NULL;
	struct manifest m;
	int rc = 0;

	*ret_sum = 0;
	manifest_init(&m, "fuzz", NULL, take, ret_sum);
	for (size_t at = 0; at < len && rc == 0; at += piece)
		rc = manifest_feed(&m, bytes + at, len - at < piece ? len - at : piece);
	while ((rc = manifest_finish(&m, &error)) == 1)
		;
	assert((rc == 0) == !error);
	assert(!error || !strchr(error, '\n'));
	manifest_fini(&m);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *bytes = (const char *)data;
	_cleanup_(freep) char *error = NULL;
	uint64_t whole, pieces;
	int rc = document_parse(bytes, len, look, NULL, &error);

	assert((rc == 0) == !error);
	rc = read_in_pieces(bytes, len, len + 1, &whole);
	/* the first piece decides whether it is JSON: it must not be all blanks */
	if (len > 8 && rc == 0 && !strchr(" \t\r\n\xef", bytes[0])) {
		assert(read_in_pieces(bytes, len, 7, &pieces) == 0);
		assert(whole == pieces);
	}
	return 0;
}
