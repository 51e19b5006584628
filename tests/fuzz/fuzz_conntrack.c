/*
 * A datagram of a conntrack dump: only flows with everything that deleting them
 * needs are read from it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "rules/conntrack/conntrack_reader.h"

#define SEQ 1

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int look(void *data, const struct nlmsghdr *message)
{
	size_t *n_bytes = data;
	struct conntrack_flow found;

	if (!conntrack_read_flow(message, &found))
		return 0;
	assert(found.tuple && mnl_attr_get_payload_len(found.tuple) <= *n_bytes);
	assert(!found.zone || mnl_attr_get_payload_len(found.zone) == 2);
	assert(!found.id || mnl_attr_get_payload_len(found.id) == 4);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct netlink_reader reader = {.seq = SEQ, .message = look, .data = &len};
	_cleanup_(freep) uint8_t *datagram = NULL;

	if (len == 0)
		return 0;
	datagram = xmalloc(len); /* aligned as a received one */
	memcpy(datagram, bytes, len);
	assert(netlink_reader_feed(&reader, datagram, len) <= 1);
	return 0;
}
