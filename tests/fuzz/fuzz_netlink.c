/*
 * A datagram of nf_tables: all elements read from it are within bounds and can be
 * printed.  The first byte selects the set and family of the request.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/netlink.h"
#include "rules/nft/nft_monitor.h"
#include "rules/nft/nft_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void look(void *data, const struct nft_read_element *read)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	assert(read->e.set == *(const unsigned *)data);
	assert(read->e.key_len <= NFT_KEY_MAX && read->e.value_len <= NFT_VALUE_MAX);
	assert(!read->is_catchall || read->e.key_len == 0);
	nft_element_print(&read->e, &text);
	assert(text.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(freep) uint8_t *datagram = NULL;
	struct nft_monitor monitor = NFT_MONITOR_INIT;
	const struct nlmsghdr *message;
	unsigned set;
	int left;

	if (len < 2)
		return 0;
	set = bytes[0] / 2 % SET_N;
	len--;
	datagram = xmalloc(len); /* aligned as a received one */
	memcpy(datagram, bytes + 1, len);
	(void)nft_monitor_read(&monitor, datagram, len);
	message = (const void *)datagram;
	for (left = (int)len; netlink_is_message(message, left);
	     message = mnl_nlmsg_next(message, &left))
		(void)nft_wire_parse_elements(message, set, bytes[0] % FAMILY_N, look,
					      &set);
	return 0;
}
