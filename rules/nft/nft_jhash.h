/*
 * The hash of an IPv6 address, as the kernel's expression "jhash" computes it: Bob
 * Jenkins' lookup3, scaled down to the modulus.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* len: 16, of an address */
uint32_t nft_jhash(const uint8_t *bytes, size_t len, uint32_t seed, uint32_t modulus);
