#include "tests/kernel/affinity_fill.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "rules/nft/nft_element.h"
#include "rules/nft/nft_read.h"
#include "rules/nft/nft_tx.h"

#define FIRST_CLIENT  0x64400000u
#define N_ENDPOINTS   64
#define N_TRANSACTION 20000

struct numbers {
	uint32_t endpoints[N_ENDPOINTS];
	uint32_t n;
};

static void take_number(void *data, const struct nft_read_element *read)
{
	struct numbers *numbers = data;

	if (numbers->n < N_ENDPOINTS)
		memcpy(&numbers->endpoints[numbers->n++], read->e.key, sizeof(uint32_t));
}

static void add_client(struct nft_tx *tx, const struct numbers *numbers, uint32_t i)
{
	uint32_t number = numbers->endpoints[i % numbers->n];
	uint32_t client = htonl(FIRST_CLIENT + i);
	struct nft_element e = {
		.set = SET_AFFINITY_CLIENTS,
		.family = FAMILY_IPV4,
		.value_len = sizeof(number),
	};
	const struct addr addr = addr_from_bytes(FAMILY_IPV4, &client);
	size_t len = nft_key_addr(e.key, 0, &addr);

	e.key_len = (uint8_t)nft_key_u32(e.key, len, number & NFT_NUMBER_MASK);
	memcpy(e.value, &number, sizeof(number));
	nft_tx_element(tx, VERB_ADD, &e, NULL);
}

static int fill(struct nft_link *link, uint32_t n)
{
	_cleanup_(nft_refusals_fini) struct nft_refusals refusals = {0};
	_cleanup_(nft_tx_fini) struct nft_tx tx = {0};
	struct numbers numbers = {.n = 0};
	int err = nft_read_elements(link, FAMILY_IPV4, SET_AFFINITY_ENDPOINTS,
				    take_number, &numbers);

	if (!err && numbers.n == 0)
		err = -ENOENT;
	for (uint32_t i = 0; !err && i < n;) {
		for (uint32_t end = i + N_TRANSACTION; i < end && i < n; i++)
			add_client(&tx, &numbers, i);
		err = nft_tx_commit(&tx, link, 0, &refusals);
		nft_tx_clear(&tx);
	}
	return err;
}

int affinity_fill(uint32_t n)
{
	struct nft_link link = NFT_LINK_INIT;
	int err = nft_link_open(&link);

	if (!err)
		err = fill(&link, n);
	nft_link_close(&link);
	return err;
}
