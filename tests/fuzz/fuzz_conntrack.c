/*
 * A datagram of a conntrack dump: whatever it holds, only flows with all that
 * is needed to delete them are told.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/conntrack/conntrack_reader.h"

#define SEQ 1

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void look(void *data, const struct conntrack_flow *found)
{
	size_t *n_bytes = data;

	assert(found->tuple && mnl_attr_get_payload_len(found->tuple) <= *n_bytes);
	assert(!found->zone || mnl_attr_get_payload_len(found->zone) == 2);
	assert(!found->id || mnl_attr_get_payload_len(found->id) == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct conntrack_reader reader = {.seq = SEQ, .fn = look, .data = &len};
	_cleanup_(freep) uint8_t *datagram = NULL;

	if (len == 0)
		return 0;
	datagram = xmalloc(len); /* aligned as what is received */
	memcpy(datagram, bytes, len);
	assert(conntrack_reader_feed(&reader, datagram, len) <= 1);
	return 0;
}
