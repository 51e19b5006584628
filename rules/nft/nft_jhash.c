#include "rules/nft/nft_jhash.h"

#include <assert.h>
#include <string.h>

#define ADDRESS_LEN 16
#define START	    0xdeadbeefu

static uint32_t rotate(uint32_t value, unsigned bits)
{
	return value << bits | value >> (32 - bits);
}

/* Between two blocks of three words. */
static void mix(uint32_t w[3])
{
	static const uint8_t bits[] = {4, 6, 8, 16, 19, 4};

	for (unsigned i = 0; i < sizeof(bits); i++) {
		uint32_t *a = &w[i % 3], *b = &w[(i + 1) % 3], *c = &w[(i + 2) % 3];

		*a = (*a - *c) ^ rotate(*c, bits[i]);
		*c += *b;
	}
}

static void finish(uint32_t w[3])
{
	static const uint8_t bits[] = {14, 11, 25, 16, 4, 14, 24};

	for (unsigned i = 0; i < sizeof(bits); i++) {
		uint32_t *to = &w[(i + 2) % 3], by = w[(i + 1) % 3];

		*to = (*to ^ by) - rotate(by, bits[i]);
	}
}

uint32_t nft_jhash(const uint8_t *bytes, size_t len, uint32_t seed, uint32_t modulus)
{
	uint32_t w[3], words[ADDRESS_LEN / 4];

	assert(len == ADDRESS_LEN);
	memcpy(words, bytes, sizeof(words));
	for (unsigned i = 0; i < 3; i++)
		w[i] = START + ADDRESS_LEN + seed + words[i];
	mix(w);
	w[0] += words[3];
	finish(w);
	return (uint32_t)((uint64_t)w[2] * modulus >> 32);
}
